"""
The explorer: every stored result of GiMeFive, with intervals and denominators.

    gimefive explorer        # its server is serve.py
"""

from pathlib import Path

import streamlit as st

# Folder of `views` → its pages: title and icon of each.
PAGES = {
    "results": {
        "overview": ("Overview", "home"),
        "paper_table": ("The paper's table", "table_chart"),
        "cross_dataset": ("Cross-dataset", "grid_on"),
        "compare": ("Model against model", "balance"),
        "training": ("Training curves", "show_chart"),
    },
    "mistakes": {
        "classes": ("Confusion and classes", "apps"),
        "failures": ("Failures", "close"),
        "labels": ("The labels", "label"),
        "calibration": ("Calibration", "target"),
        "fairness": ("Fairness", "groups"),
    },
    "photos": {
        "deployed": ("As deployed", "photo"),
        "robustness": ("Robustness", "blur_on"),
        "attention": ("Attention", "visibility"),
        "try_it": ("Try it", "photo_camera"),
    },
}

# Streamlit 1.67 takes the choices out of a page's address on the way to another page, and answers the browser's Back
# with the page alone. So the address at the click is put back into the history, and where Back or Forward leads to
# another page, that address is opened anew, before Streamlit sees it.
BACK = """<script>
if (!window.opensPagesAnew) {
  window.opensPagesAnew = true;
  const push = history.pushState.bind(history);
  let shown = location.pathname, left = null;
  window.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    if (link && !link.target && !event.ctrlKey && !event.metaKey && !event.shiftKey) left = location.href;
    // On a phone the list of pages lies over the page that was chosen, until it is closed.
    const list = link && innerWidth <= 640 && link.closest('[data-testid="stSidebar"]');
    if (list) setTimeout(() => list.querySelector('[data-testid="stSidebarCollapseButton"] button')?.click(), 100);
  }, true);
  history.pushState = (state, title, address) => {
    const leaves = new URL(address, location.href).pathname !== location.pathname;
    if (leaves && left) history.replaceState(history.state, "", left);
    push(state, title, address);
    if (leaves) left = null;
    shown = location.pathname;
  };
  window.addEventListener("popstate", (event) => {
    if (location.pathname === shown) return;
    event.stopImmediatePropagation();
    location.reload();
  }, true);
}
</script>"""
# What a table says better than a wide chart stands on narrow screens only, and the other way round.
WIDTHS = """<style>
@media (max-width: 640px) { [class*="st-key-wide"] { display: none } }
@media (min-width: 641px) { [class*="st-key-narrow"] { display: none } }
[data-testid="stMainBlockContainer"] { padding-top: 3.5rem }
</style>"""


def main() -> None:
    st.set_page_config(page_title="GiMeFive explorer", page_icon="🙂", layout="wide")
    views = Path(__file__).parent / "views"
    pages = {
        folder.capitalize(): [
            st.Page(
                views / folder / f"{name}.py",
                title=title,
                icon=f":material/{icon}:",
                url_path=name,
                default=name == "overview",
            )
            for name, (title, icon) in entries.items()
        ]
        for folder, entries in PAGES.items()
    }
    page = st.navigation(pages, expanded=True)
    st.html(WIDTHS)
    st.html(BACK, unsafe_allow_javascript=True)
    page.run()


main()
