"""What every page needs: the store, choices that a link carries, and a chart with its data to download."""

import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from evaluation.corpora import title_of
from evaluation.queries import FLAGSHIP, order_models, tested_corpora
from evaluation.store import DEFAULT_STORE, Store, read_store


def store_path() -> Path:
    """`$GIMEFIVE_STORE`, or the store of the repository."""
    return Path(os.environ.get("GIMEFIVE_STORE") or DEFAULT_STORE)


# Not cache_data: that copies all predictions for every page. Pages change nothing in the store.
@st.cache_resource(show_spinner="Reading the store …", max_entries=2)
def cached_store(path: str, state: tuple) -> Store:
    return read_store(Path(path))


def load_store() -> Store:
    """The store, read again only if one of its files has changed."""
    path = store_path()
    files = sorted(file for file in path.rglob("*") if file.is_file())
    state = tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files)
    return cached_store(str(path), state)


def start_page(title: str, about: str) -> Store:
    """Title, one paragraph, and the faults of the store; stops the page if the store has nothing to show."""
    st.title(title)
    st.markdown(about)
    store = load_store()
    if store.problems:
        with st.expander(f"⚠ {len(store.problems)} fault(s) in the store; the rest is shown"):
            for problem in store.problems:
                st.markdown(f"- {problem}")
    if not len(store.results):
        st.info(
            "The store has no results yet. Score a model first: "
            "`python -m training.measuring.evaluate --model gimefive --data DIR`, then reload this page."
        )
        st.stop()
    return store


def stop_without(condition: bool, text: str) -> None:
    """Say what is missing and stop the page there."""
    if not condition:
        st.info(text)
        st.stop()


def choose(label: str, options: list[str], key: str, default: str | None = None, container=st) -> str:
    """A selection that stands in the address: `?key=value`."""
    index = options.index(default) if default in options else 0
    return container.selectbox(label, options, index=index, key=key, bind="query-params")


def choose_model(store: Store, key: str = "model", cross: bool = True, container=st) -> str:
    """A model of the store, the flagship by default; `cross`: also those of the cross-dataset table."""
    return choose("Model", order_models(store, cross), key, FLAGSHIP, container)


def choose_corpus(corpora: list[str], key: str = "corpus", default: str = "raf-db", container=st) -> str:
    titles = {title_of(name): name for name in corpora}
    return titles[choose("Test split", list(titles), key, title_of(default), container)]


def choose_tested(store: Store, default: str = "raf-db") -> tuple[str, str]:
    """A model and one of its test splits; stops the page if it has none."""
    model = choose_model(store)
    corpora = tested_corpora(store, model)
    stop_without(bool(corpora), f"{model} has no aligned test results.")
    return model, choose_corpus(corpora, default=default)


def show_chart(figure: go.Figure, data: pd.DataFrame, key: str, note: str, finding: str) -> None:
    """The chart under its title and what it shows, which those read who do not see it; what its numbers are out of."""
    title, _, below = figure.layout.title.text.partition("<br>")
    finding = finding[:1].upper() + finding[1:]
    st.markdown(f"**{title}**  \n{finding}" + (f"  \n:small[{re.sub('<.*?>', '', below)}]" if below else ""))
    # The title above stays out of the chart, where it would be cut on a phone; the chart that is downloaded has it.
    shown = go.Figure(figure).update_layout(title_text="", margin_t=figure.layout.margin.t - 30)
    shown.update_layout(height=figure.layout.height and figure.layout.height - 30)
    st.plotly_chart(shown, key=f"chart-{key}", config={"displayModeBar": False}, alt=f"{title}. {finding}")
    st.caption(note)
    with st.container(horizontal=True):
        download_table(data, key)
        # A callable: made when somebody clicks, not on every page.
        offer("Chart (HTML)", partial(figure.to_html, include_plotlyjs="cdn"), f"{key}.html", "text/html")


def download_table(data: pd.DataFrame, key: str) -> None:
    """A button for the numbers of a chart or table."""
    offer("Data (CSV)", partial(data.to_csv, index=False), f"{key}.csv", "text/csv")


def offer(label: str, content: Callable[[], str], name: str, kind: str) -> None:
    """A button for a file that is made at the click."""
    key = "-".join(reversed(name.rsplit(".", 1)))
    icon = ":material/download:"
    st.download_button(label, content, name, kind, key=key, on_click="ignore", type="tertiary", icon=icon)
