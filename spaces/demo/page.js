// What the page does without its server: choosing a face, laying heat over it, following a link to an example.
(() => {
  const chosen = (window.gimefive = { face: "0", example: "astronaut" });

  // Let the server know: Gradio's own events read what was chosen.
  function tell(what, value) {
    chosen[what] = value;
    document.querySelector(`#show-${what}`)?.click();
  }

  function press(selector, chosen) {
    document.querySelectorAll(selector).forEach((b) => b.setAttribute("aria-pressed", String(chosen(b))));
  }

  function chooseFace(index) {
    press("[data-face]", (b) => b.dataset.face === index);
    document.querySelectorAll("[data-card]").forEach((c) => { c.hidden = c.dataset.card !== index; });
    document.querySelector("#why")?.classList.add("waiting");
    tell("face", index);
  }

  function chooseExample(name) {
    press("[data-example]", (b) => b.dataset.example === name);
    history.replaceState(null, "", `?example=${encodeURIComponent(name)}`);
    tell("example", name);
  }

  function showMap(button) {
    press("[data-map]", (b) => b === button);
    const card = document.querySelector("[data-card]:not([hidden])");
    if (!card) return;
    card.querySelector(".heat").src = button.querySelector(".heat").src;
    card.querySelector("[data-shown]").textContent = `The heat shows what speaks for ${button.dataset.map}.`;
  }

  document.addEventListener("click", (event) => {
    const at = (name) => event.target.closest?.(`[data-${name}]`);
    if (at("face")) chooseFace(at("face").dataset.face);
    else if (at("example")) chooseExample(at("example").dataset.example);
    else if (at("map")) showMap(at("map"));
  });
  document.addEventListener("input", (event) => {
    const card = event.target.closest?.(".card");
    if (!card) return;
    if ("heat" in event.target.dataset) card.querySelector(".heat").style.opacity = event.target.value / 100;
    if ("dots" in event.target.dataset) card.classList.toggle("show-dots", event.target.checked);
  });
  // Arrow keys go from face to face, in the photo as in the list.
  document.addEventListener("keydown", (event) => {
    const from = event.target.closest?.("[data-face]");
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!from || !step) return;
    const all = [...from.parentElement.querySelectorAll("[data-face]")];
    const next = all[(all.indexOf(from) + step + all.length) % all.length];
    event.preventDefault();
    next.focus();
    chooseFace(next.dataset.face);
  });

  // When Gradio has drawn the page: announce what changes, and follow a link to an example.
  const begin = setInterval(() => {
    const stage = document.querySelector("#stage");
    if (!stage || !document.querySelector("#show-example")) return;
    clearInterval(begin);
    document.documentElement.lang ||= "en";
    stage.setAttribute("aria-live", "polite");
    const why = document.querySelector("#why");
    new MutationObserver(() => why.classList.remove("waiting")).observe(why, { childList: true, subtree: true });
    const wanted = new URLSearchParams(location.search).get("example");
    if (wanted) chooseExample(wanted);
    else press("[data-example]", (b) => b.dataset.example === chosen.example);
  }, 100);
})();
