"""What stands between the net and the page: gate, uploads, what is remembered. Imports nothing of the page."""
