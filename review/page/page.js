"use strict";
// Text of the run reaches the page through `textContent` alone; the policy in the page's head forbids the rest.
(() => {
  const LETTERS = "ABCD";
  const byId = (id) => document.getElementById(id);
  const setup = JSON.parse(byId("setup").textContent);
  const stored = `capcurriculum-review:${setup.page}`;
  const answers = new Map();
  let at = 0;
  let question = null;

  // ---- Keeping: every change goes to the browser's own store at once; the file is for taking it elsewhere.
  function warn(text) {
    byId("warning").textContent = text;
    byId("warning").hidden = !text;
  }
  function keep() {
    try {
      localStorage.setItem(stored, JSON.stringify({ answers: [...answers.values()] }));
    } catch {
      warn("This browser keeps nothing for this page: save your answers to a file before you close it.");
    }
    show();
  }
  function recall() {
    try {
      const found = JSON.parse(localStorage.getItem(stored) ?? "null");
      if (!found) return;
      take(found.answers ?? []);
    } catch {
      warn("What this browser kept for this page cannot be read; load your answers from a file if you have one.");
    }
  }
  // The later word counts, wherever it was said.
  function take(found) {
    let taken = 0;
    for (const one of found) {
      if (!one || typeof one.question_id !== "string" || !known.has(one.question_id)) continue;
      const before = answers.get(one.question_id);
      if (before && String(before.said_at) >= String(one.said_at)) continue;
      answers.set(one.question_id, clean(one));
      taken += 1;
    }
    return taken;
  }
  const text = (value, most) => (typeof value === "string" ? value.slice(0, most) : "");
  function clean(one) {
    return {
      question_id: one.question_id,
      version: text(one.version, 64),
      said_at: text(one.said_at, 40),
      right: text(one.right, 20),
      choice: text(one.choice, 400),
      kind: text(one.kind, 40),
      quality: Number.isInteger(one.quality) ? one.quality : 0,
      comment: text(one.comment, 4000),
    };
  }
  async function lines() {
    const { form, page, reviewer } = setup;
    const sign = await signing(setup.key);
    const written = [];
    for (const one of [...answers.values()].filter((given) => given.right)) {
      const { question_id, version, said_at, right, choice, kind, quality, comment } = one;
      const signature = await sign([page, reviewer, question_id, version, said_at, right, choice, kind, quality, comment]);
      written.push(JSON.stringify({ form, page, reviewer, ...one, signature }) + "\n");
      if (!signature) warn(`This browser cannot sign: say that the file is imported with --annotator and your name.`);
    }
    return written.join("");
  }
  async function save() {
    warn("");
    const told = await lines();
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([told], { type: "application/x-ndjson" }));
    link.download = `review-${setup.run}-${setup.reviewer.replaceAll(/[^\p{L}\p{N}]+/gu, "-")}.jsonl`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }
  async function load(file) {
    let taken = 0;
    let strange = 0;
    for (const line of (await file.text()).split("\n")) {
      if (!line.trim()) continue;
      try {
        taken += take([JSON.parse(line)]);
      } catch {
        strange += 1;
      }
    }
    warn(`${taken} answers were loaded${strange ? `; ${strange} lines of the file are no answers` : ""}.`);
    keep();
    draw();
  }

  // ---- Questions are read one at a time: with their pictures, all together would fill the memory.
  const read = (place) => JSON.parse(byId(`question-${place}`).textContent);
  const ids = [];
  const known = new Set();
  for (let place = 0; place < setup.questions && byId(`question-${place}`); place++) {
    const id = read(place).id;
    ids.push(id);
    known.add(id);
  }
  const answered = (id) => Boolean(answers.get(id)?.right);

  function say(change) {
    if (!question) return;
    const before = answers.get(question.id) ?? { right: "", choice: "", kind: "", quality: 0, comment: "" };
    const now = { ...before, ...change };
    if (now.right !== "no") now.choice = "";
    now.question_id = question.id;
    now.version = question.version;
    now.said_at = new Date().toISOString();
    answers.set(question.id, now);
    keep();
  }

  // ---- Drawing.
  function make(tag, values, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(values ?? {})) {
      if (name === "text") element.textContent = value;
      else if (name === "class") element.className = value;
      else element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  }
  function choices(into, pairs, pick) {
    const legend = byId(into).firstElementChild;
    const buttons = pairs.map(([value, label, key]) => {
      const button = make("button", { type: "button", "data-value": value, text: `${label} ` });
      if (key) button.append(make("kbd", { text: key }));
      button.addEventListener("click", () => pick(value));
      return button;
    });
    byId(into).replaceChildren(legend, ...buttons);
  }
  function press(into, value) {
    for (const button of byId(into).querySelectorAll("button"))
      button.setAttribute("aria-pressed", String(button.dataset.value === String(value)));
  }
  function draw() {
    question = ids.length ? read(at) : null;
    if (!question) {
      byId("problem").textContent = "There is no question on this page.";
      return;
    }
    const frame = byId("picture");
    frame.replaceChildren();
    if (question.image.startsWith("data:image/webp;base64,")) frame.append(make("img", { src: question.image, alt: "The image in question" }));
    else frame.textContent = question.image || "This question has no image.";
    byId("place").textContent = `${at + 1} of ${ids.length} · ${question.stage} · ${question.id}`;
    byId("problem").textContent = question.text;
    const options = question.options.map((option, place) => {
      const item = make("li", {}, make("b", { text: LETTERS[place] }), make("span", { dir: "auto", text: option }));
      if (LETTERS[place] === question.key) {
        item.className = "key";
        item.append(make("span", { class: "mark", text: "marked answer" }));
      }
      return item;
    });
    if (!options.length)
      options.push(make("li", { class: "key" }, make("span", { dir: "auto", text: question.key }), make("span", { class: "mark", text: "marked answer" })));
    byId("options").replaceChildren(...options);
    drawChoice();
    byId("caption").textContent = question.caption || "There is no caption.";
    byId("show-caption").hidden = setup.caption === "left_out" || !question.caption;
    byId("solvers").replaceChildren(...question.solvers.map((line) => make("li", { dir: "auto", text: line })));
    byId("show-solvers").hidden = !question.solvers.length;
    reveal("caption", setup.caption === "shown" && Boolean(question.caption));
    reveal("solvers", false);
    byId("comment").value = answers.get(question.id)?.comment ?? "";
    scrollTo(0, 0);
    show();
  }
  function drawChoice() {
    const others = question.options.map((_, place) => LETTERS[place]).filter((letter) => letter !== question.key);
    choices("choice", [...others.map((letter) => [letter, letter, ""]), ["none", "none of them", "X"]], (value) => say({ choice: value }));
    if (question.options.length) return;
    const free = make("input", { "aria-label": "The right answer", maxlength: 400, id: "free" });
    free.value = answers.get(question.id)?.choice ?? "";
    free.addEventListener("input", () => say({ choice: free.value.trim() }));
    byId("choice").append(free);
  }
  function show() {
    const said = question ? answers.get(question.id) : undefined;
    press("right", said?.right ?? "");
    press("choice", said?.choice ?? "");
    press("kind", said?.kind ?? "");
    press("quality", said?.quality ?? 0);
    byId("choice").hidden = said?.right !== "no";
    const done = ids.filter(answered).length;
    byId("progress").textContent = `${done} of ${ids.length} answered`;
    byId("bar").max = Math.max(1, ids.length);
    byId("bar").value = done;
    byId("before").disabled = at === 0;
    byId("after").disabled = at >= ids.length - 1;
  }
  function reveal(name, open) {
    byId(name).hidden = !open;
    byId(`show-${name}`).setAttribute("aria-expanded", String(open));
  }
  const toggle = (name) => {
    if (!byId(`show-${name}`).hidden) reveal(name, byId(name).hidden);
  };
  function go(place) {
    const wanted = Math.max(0, Math.min(ids.length - 1, place));
    if (wanted === at && question) return;
    at = wanted;
    draw();
  }
  function next() {
    for (let step = 1; step <= ids.length; step++) {
      const place = (at + step) % ids.length;
      if (!answered(ids[place])) return go(place);
    }
    warn(ids.every(answered) ? "Every question is answered. Save your answers and send the file back." : "");
  }

  // ---- Keys.
  const RIGHTS = { y: "yes", n: "no", u: "cannot_tell" };
  function key(event) {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "s") {
      event.preventDefault();
      return save();
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input, textarea")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.key === "Enter" && event.target.matches("button")) return;
    const pressed = event.key.toLowerCase();
    const option = LETTERS.indexOf(pressed.toUpperCase());
    const refused = question && answers.get(question.id)?.right === "no";
    if (RIGHTS[pressed]) say({ right: RIGHTS[pressed] });
    else if (pressed === "x" && refused) say({ choice: "none" });
    else if (pressed.length === 1 && option >= 0 && option < (question?.options.length ?? 0) && refused) {
      if (LETTERS[option] !== question.key) say({ choice: LETTERS[option] });
    } else if (/^[1-5]$/.test(pressed)) say({ quality: Number(pressed) });
    else if (pressed === "[" || pressed === "]") kind(pressed === "]" ? 1 : -1);
    else if (pressed === "v") toggle("caption");
    else if (pressed === "m") toggle("solvers");
    else if (pressed === "/") byId("comment").focus();
    else if (pressed === "arrowleft") go(at - 1);
    else if (pressed === "arrowright") go(at + 1);
    else if (pressed === "enter") next();
    else return;
    event.preventDefault();
  }
  function kind(by) {
    const now = setup.kinds.indexOf(answers.get(question?.id)?.kind ?? "");
    const count = setup.kinds.length;
    say({ kind: setup.kinds[now < 0 ? (by > 0 ? 0 : count - 1) : (now + by + count) % count] });
  }

  choices("right", [["yes", "Yes", "Y"], ["no", "No", "N"], ["cannot_tell", "Cannot tell", "U"]], (value) => say({ right: value }));
  choices("kind", setup.kinds.map((name) => [name, name.replaceAll("_", " "), ""]), (value) => say({ kind: value }));
  choices("quality", [1, 2, 3, 4, 5].map((number) => [number, number, ""]), (value) => say({ quality: Number(value) }));
  byId("comment").addEventListener("input", () => say({ comment: byId("comment").value }));
  byId("save").addEventListener("click", save);
  byId("load").addEventListener("change", () => {
    const [file] = byId("load").files;
    if (file) load(file);
    byId("load").value = "";
  });
  byId("show-caption").addEventListener("click", () => toggle("caption"));
  byId("show-solvers").addEventListener("click", () => toggle("solvers"));
  byId("before").addEventListener("click", () => go(at - 1));
  byId("after").addEventListener("click", () => go(at + 1));
  byId("next").addEventListener("click", next);
  document.addEventListener("keydown", key);
  recall();
  const open = ids.findIndex((id) => !answered(id));
  at = open < 0 ? 0 : open;
  draw();
  document.documentElement.dataset.ready = "yes";
})();
