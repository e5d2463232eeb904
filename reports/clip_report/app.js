/* The page works without this script, but for the waveform and the cursor. */
(function () {
  "use strict";
  const data = JSON.parse(document.getElementById("app-data").textContent);
  const sound = document.getElementById("sound");
  const stage = document.getElementById("stage");
  const cursor = document.getElementById("cursor");
  const play = document.getElementById("play");
  const clock = document.getElementById("clock");
  const STEP_S = 1;
  const LONG_STEP_S = 5;
  /* Told apart without colour, and where they overlap. */
  const EDGES = {
    token: ["borderTop", "solid"],
    waveform: ["borderTop", "dotted"],
    window: ["borderBottom", "dashed"],
  };
  let at_s = 0;

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  }

  /* --- where we are: the audio element is the only clock ------------------------------------------- */

  function show() {
    const tenths = Math.round(at_s * 10);
    const minutes = Math.floor(tenths / 600);
    if (clock) {
      clock.textContent = minutes + ":" + String(((tenths % 600) / 10).toFixed(1)).padStart(4, "0");
    }
    cursor.hidden = false;
    cursor.style.left = (100 * at_s) / data.duration_s + "%";
  }

  function seek(to_s) {
    if (!stage || !Number.isFinite(to_s)) return;
    at_s = Math.min(Math.max(to_s, 0), data.duration_s);
    if (sound) sound.currentTime = at_s;
    show();
  }

  /* Over what is not in this page; false: nothing more is. */
  function skipSilence() {
    if (data.kept.some(([start, end]) => start <= at_s && at_s < end)) return true;
    const next = data.kept.find(([start]) => start > at_s);
    if (next) seek(next[0]);
    return Boolean(next);
  }

  function frame() {
    at_s = sound.currentTime;
    if (!skipSilence()) sound.pause();
    show();
    if (!sound.paused) requestAnimationFrame(frame);
  }

  function toggle() {
    if (!sound) return;
    if (sound.paused) sound.play();
    else sound.pause();
  }

  function followLink() {
    const found = /^#t=(\d+(?:\.\d+)?)$/.exec(location.hash);
    if (found) seek(Number(found[1]));
  }

  /* --- pictures -------------------------------------------------------------------------------------- */

  function draw(whenReady) {
    const container = document.getElementById("wave");
    if (!container || !data.peaks.length) return whenReady();
    const regions = WaveSurfer.Regions.create();
    const wave = WaveSurfer.create({
      container,
      height: 112,
      peaks: [data.peaks],
      duration: data.duration_s,
      media: sound || undefined,
      plugins: [regions],
      interact: false,
      cursorWidth: 0,
      normalize: true,
      waveColor: colour("wave"),
      progressColor: colour("wave-played"),
    });
    wave.on("ready", () => {
      for (const [start, end, kind] of data.stretches) {
        const region = regions.addRegion({ start, end, color: colour(kind + "-fill"), drag: false, resize: false });
        const [side, line] = EDGES[kind];
        region.element.style[side] = "4px " + line + " " + colour(kind);
      }
      if (sound) {
        let from_s = 0;
        for (const [start, end] of [...data.kept, [data.duration_s, data.duration_s]]) {
          if (start > from_s) addGap(container, from_s, start);
          from_s = end;
        }
      }
      whenReady();
    });
    for (const query of ["(prefers-color-scheme: dark)", "print"]) {
      matchMedia(query).addEventListener("change", () => {
        wave.setOptions({ waveColor: colour("wave"), progressColor: colour("wave-played") });
      });
    }
  }

  function addGap(container, start_s, end_s) {
    const gap = document.createElement("i");
    gap.className = "gap";
    gap.style.left = (100 * start_s) / data.duration_s + "%";
    gap.style.width = (100 * (end_s - start_s)) / data.duration_s + "%";
    container.append(gap);
  }

  /* --- hands ------------------------------------------------------------------------------------------ */

  function listen() {
    addEventListener("hashchange", followLink);
    document.addEventListener("click", (event) => {
      const link = event.target.closest('a[href^="#t="]');
      if (link && link.getAttribute("href") === location.hash) followLink();
    });
    const details = document.getElementById("record-details");
    details.addEventListener("toggle", () => {
      const text = document.getElementById("record-text");
      const record = JSON.parse(document.getElementById("record").textContent);
      if (!text.textContent) text.textContent = JSON.stringify(record, null, 2);
    });
    if (!stage) return;
    stage.addEventListener("click", (event) => {
      const box = stage.getBoundingClientRect();
      seek((data.duration_s * (event.clientX - box.left)) / box.width);
    });
    document.addEventListener("keydown", onKey);
    if (!sound) return;
    sound.removeAttribute("controls");
    document.querySelector(".controls").hidden = false;
    play.addEventListener("click", toggle);
    sound.addEventListener("play", () => {
      play.textContent = "Pause";
      requestAnimationFrame(frame);
    });
    sound.addEventListener("pause", () => {
      play.textContent = "Play";
    });
    sound.addEventListener("seeked", () => {
      at_s = sound.currentTime;
      show();
    });
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step_s = event.shiftKey ? LONG_STEP_S : STEP_S;
    const onControl = event.target.closest("button, summary, input, select, textarea, pre");
    const moves = {
      " ": onControl ? null : toggle,
      ArrowLeft: onControl && onControl.matches("pre") ? null : () => seek(at_s - step_s),
      ArrowRight: onControl && onControl.matches("pre") ? null : () => seek(at_s + step_s),
      Home: onControl ? null : () => seek(0),
      End: onControl ? null : () => seek(data.duration_s),
    };
    const move = Object.hasOwn(moves, event.key) ? moves[event.key] : null;
    if (!move) return;
    event.preventDefault();
    move();
  }

  listen();
  draw(() => {
    followLink();
    document.documentElement.dataset.ready = "true";
  });
})();
