"use strict";
// The cases are in the page already; this stores the answers in the browser and saves them to a file.
(() => {
  const byId = (id) => document.getElementById(id);
  const setup = JSON.parse(byId("setup").textContent);
  const stored = `capcurriculum-errors:${setup.page}`;
  const cases = [...document.querySelectorAll("article")];
  const said = new Map();

  function warn(text) {
    byId("warning").textContent = text;
    byId("warning").hidden = !text;
  }
  function show() {
    byId("progress").textContent = `${said.size} of ${cases.length} answered`;
    for (const one of cases) one.toggleAttribute("data-said", said.has(one.dataset.case));
  }
  function keep() {
    try {
      localStorage.setItem(stored, JSON.stringify({ said: [...said.values()] }));
    } catch {
      warn("This browser keeps nothing for this page: save your answers to a file before you close it.");
    }
    show();
  }
  function say(article) {
    const chosen = article.querySelector("input[type=radio]:checked");
    if (!chosen) return;
    const comment = article.querySelector(".note").value;
    said.set(article.dataset.case, { case: article.dataset.case, said_at: new Date().toISOString(), kind: chosen.value, comment });
    keep();
  }
  function recall() {
    let found = null;
    try {
      found = JSON.parse(localStorage.getItem(stored) ?? "null");
    } catch {
      warn("What this browser kept for this page cannot be read.");
    }
    if (!found) return;
    for (const article of cases) {
      const one = (found.said ?? []).find((other) => other && other.case === article.dataset.case);
      const chosen = one && [...article.querySelectorAll("input[type=radio]")].find((box) => box.value === one.kind);
      if (!chosen) continue;
      chosen.checked = true;
      article.querySelector(".note").value = String(one.comment ?? "").slice(0, 4000);
      const told = { case: one.case, said_at: String(one.said_at), kind: chosen.value, comment: String(one.comment ?? "") };
      said.set(one.case, told);
    }
  }
  async function save() {
    warn("");
    const { form, page, person } = setup;
    const sign = await signing(setup.key);
    const lines = [];
    for (const one of said.values()) {
      const signature = await sign([page, person, one.case, one.said_at, one.kind, one.comment]);
      lines.push(JSON.stringify({ form, page, person, ...one, signature }) + "\n");
      if (!signature) warn("This browser cannot sign: say that the file is read with --annotator and your name.");
    }
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(lines, { type: "application/x-ndjson" }));
    link.download = `errors-${person.replaceAll(/[^\p{L}\p{N}]+/gu, "-")}.jsonl`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }
  for (const article of cases) article.addEventListener("input", () => say(article));
  byId("save").addEventListener("click", save);
  recall();
  show();
  document.documentElement.dataset.ready = "";
})();
