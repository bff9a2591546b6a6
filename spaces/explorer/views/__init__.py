"""A script per page, which `app.py` lists. Not called `pages`: Streamlit takes such a folder for a list of its own."""
