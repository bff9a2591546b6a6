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

  // The photo as the field shows it: an upload on its way has an address of the server, what the page holds is a data URL.
  const photoNow = () => document.querySelector("#photo .image-frame img")?.src ?? "";
  const onItsWay = () => photoNow() !== "" && !photoNow().startsWith("data:");

  // [photo, …, chosen face] once the page holds the photo; its first face, where that had to be waited for.
  chosen.heldPhoto = async (values, place) => {
    if (!values[0] || values[0].url?.startsWith("data:")) return values;
    while (onItsWay()) await new Promise((done) => setTimeout(done, 100));
    const now = values.with(0, photoNow() ? { url: photoNow(), meta: { _type: "gradio.FileData" } } : null);
    return place === undefined ? now : now.with(place, "0");
  };

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

  function save(href, name) {
    const link = document.createElement("a");
    Object.assign(link, { href, download: name }).click();
  }

  chosen.saveCard = () => {
    const link = document.querySelector("#card-picture a");
    if (link) save(link.href, "gimefive-card.png");
  };
  chosen.saveScores = () => {
    const table = document.querySelector("#stage .stage")?.dataset.csv;
    if (table) save(URL.createObjectURL(new Blob([table], { type: "text/csv" })), "gimefive-scores.csv");
  };

  // The clip stays in the page. Each analysis sends it anew, because the server keeps nothing between two of them.
  let clip = null;
  let example = "";

  // The tab opens with an answer, too.
  function openClips() {
    if (clip || example || document.querySelector("#clip-out")) return;
    document.querySelector("#clip-example")?.click();
  }

  chosen.useExampleClip = (settings) => {
    [clip, example] = [null, "example"];
    document.querySelector("#clip-in").hidden = true;
    document.querySelector("#clip-name").textContent = "The example clip";
    return settings;
  };

  function keepClip(file) {
    if (!file) return;
    [clip, example] = [file, ""];
    const player = document.querySelector("#clip-in");
    URL.revokeObjectURL(player.src);
    player.src = URL.createObjectURL(file);
    player.hidden = false;
    document.querySelector("#clip-name").textContent = file.name;
  }

  chosen.sendClip = async (settings) => {
    if (!clip) return [null, example, ...settings];
    const form = new FormData();
    form.append("files", clip, clip.name);
    const answer = await fetch("gradio_api/upload", { method: "POST", body: form }).catch(() => null);
    if (!answer?.ok) {
      const said = await answer?.json().catch(() => null);
      document.querySelector("#clip-name").textContent = said?.detail ?? "The clip could not be sent; it may have 20 MB at most.";
      return [null, "", ...settings];
    }
    const [path] = await answer.json();
    return [{ path, orig_name: clip.name, meta: { _type: "gradio.FileData" } }, "", ...settings];
  };

  function seek(chart, event) {
    const place = chart.querySelector(".field").getBoundingClientRect();
    const player = document.querySelector("#clip-out");
    const share = Math.min(1, Math.max(0, (event.clientX - place.left) / place.width));
    player.pause();
    player.currentTime = share * Number(chart.dataset.end);
  }

  function follow() {
    const player = document.querySelector("#clip-out");
    if (player) {
      document.querySelectorAll(".chart[data-end]").forEach((chart) => {
        const at = 1000 * Math.min(1, player.currentTime / Number(chart.dataset.end));
        chart.querySelector(".playhead").setAttribute("transform", `translate(${at})`);
      });
    }
    requestAnimationFrame(follow);
  }
  requestAnimationFrame(follow);

  document.addEventListener("change", (event) => {
    if (event.target.id === "clip-file") keepClip(event.target.files[0]);
  });
  for (const kind of ["dragover", "drop"]) {
    document.addEventListener(kind, (event) => {
      if (!event.target.closest?.(".chooser")) return;
      event.preventDefault();
      if (kind === "drop") keepClip(event.dataTransfer.files[0]);
    });
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("[data-of]");
    if (link) link.href = document.getElementById(link.dataset.of).src;
    const chart = event.target.closest?.(".chart[data-end]");
    if (chart) seek(chart, event);
    if (event.target.closest?.("button[role=tab]")?.textContent.trim() === "Clip") openClips();
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

  // A camera that cannot be opened says why: Gradio leaves the visitor with an empty field.
  const TROUBLES = {
    NotAllowedError: "The camera may not be used: permission was refused. Allow it in the address bar and try again, or upload a photo or clip.",
    NotFoundError: "No camera was found. Plug one in and try again, or upload a photo or clip.",
    NotReadableError: "The camera is there but gives no picture; perhaps another program uses it. Close that one and try again.",
  };

  function sayOfCamera(text) {
    document.querySelectorAll(".camera-note").forEach((note) => { if (note.textContent !== text) note.textContent = text; });
  }

  const devices = navigator.mediaDevices;
  const open = devices?.getUserMedia.bind(devices);
  if (open) {
    devices.getUserMedia = async (wish) => {
      try {
        const stream = await open(wish);
        sayOfCamera("");
        stream.getVideoTracks()[0]?.addEventListener("ended", () => sayOfCamera("The camera went away. Plug it in and start again."));
        return stream;
      } catch (error) {
        sayOfCamera(TROUBLES[error.name] ?? `The camera could not be opened (${error.name}).`);
        throw error;
      }
    };
  }
  document.addEventListener("click", (event) => {
    if (!open && event.target.closest?.("[title='grant webcam access']")) sayOfCamera("This browser gives cameras only to pages opened by https or on this machine.");
  });

  // Whoever waits for a place at the camera is told so, and for how long already.
  let since = null;

  function tellOfWaiting() {
    const button = document.querySelector("#camera .capture-button");
    const label = [...(button?.querySelectorAll(".icon-with-text") ?? [])].flatMap((box) => [...box.childNodes]).find((node) => node.nodeType === 3 && node.data.trim() === "Record");
    if (label) label.data = " Start"; // nothing is recorded
    button?.removeAttribute("aria-label"); // "capture photo", whatever the button says
    const waits = button?.querySelector("[title='spinner']") != null;
    const before = since;
    since = waits ? (since ?? Date.now()) : null;
    const note = document.querySelector("#camera-note .camera-note");
    if (!waits) {
      delete note?.dataset.waited;
      return before === null ? undefined : sayOfCamera("");
    }
    const seconds = Math.round((Date.now() - since) / 1000);
    if (seconds < 2) return;
    // shown, but not read aloud every second
    note.dataset.waited = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    sayOfCamera("Both places at the camera are taken. The next that is free is yours, in ten minutes at most, and nothing need be pressed.");
  }

  // When Gradio has drawn the page: announce what changes, and follow a link to an example.
  const begin = setInterval(() => {
    const stage = document.querySelector("#stage");
    if (!stage || !document.querySelector("#show-example")) return;
    clearInterval(begin);
    document.documentElement.lang ||= "en";
    setInterval(tellOfWaiting, 500);
    stage.setAttribute("aria-live", "polite");
    document.querySelector("#clip-status")?.setAttribute("aria-live", "polite");
    // Gradio names these otherwise than they read.
    document.querySelectorAll(".upload-container").forEach((button) => button.removeAttribute("aria-label"));
    document.querySelectorAll("footer img").forEach((image) => { image.alt = ""; });
    const why = document.querySelector("#why");
    new MutationObserver(() => why.classList.remove("waiting")).observe(why, { childList: true, subtree: true });
    new MutationObserver(() => {
      const shown = stage.querySelector(".stage")?.dataset.shown;
      if (shown === undefined) return;
      press("[data-example]", (b) => b.dataset.example === shown);
      if (!shown && location.search.includes("example=")) history.replaceState(null, "", location.pathname);
    }).observe(stage, { childList: true, subtree: true });
    const wanted = new URLSearchParams(location.search).get("example");
    if (wanted) chooseExample(wanted);
    else press("[data-example]", (b) => b.dataset.example === chosen.example);
  }, 100);
})();
