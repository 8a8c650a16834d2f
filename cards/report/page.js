"use strict";
// Untrusted text is set through `textContent` only; the content security policy forbids anything else.
(() => {
  const PAGE = 48;
  const FACETS = ["stage", "fate", "filter", "reason", "source", "skill"];
  const SIGNS = { right: "✓", wrong: "✗", unparsed: "?", failed: "!" };
  const ARMS = ["image", "caption", "blind", "swapped", "text"];
  const byId = (id) => document.getElementById(id);
  const setup = JSON.parse(byId("setup").textContent);
  const collator = new Intl.Collator("en", { numeric: true });

  // ---- Data: blocks of JSON in the page, or scripts beside it that pass one block each.
  const block = /^(index|detail)-\d+$/;
  const addresses = globalThis.trustedTypes
    ? trustedTypes.createPolicy("capcurriculum", {
        createScriptURL: (name) => {
          if (!block.test(name)) throw new TypeError("no block of this page");
          return `${encodeURIComponent(setup.folder)}/${name}.js`;
        },
      })
    : { createScriptURL: (name) => `${encodeURIComponent(setup.folder)}/${name}.js` };
  const waiting = new Map();
  const loaded = new Map();
  const KEEP = 24;

  globalThis.capcurriculumBlock = (name, value) => {
    const wanted = waiting.get(name);
    if (wanted) wanted(value);
  };

  function load(name) {
    if (loaded.has(name)) return loaded.get(name);
    const found = setup.folder ? loadScript(name) : Promise.resolve(JSON.parse(byId(name).textContent));
    loaded.set(name, found);
    found.catch(() => loaded.delete(name));
    // The oldest blocks of details are dropped, to bound memory.
    const old = [...loaded.keys()].filter((key) => key.startsWith("detail-"));
    for (const key of old.slice(0, Math.max(0, old.length - KEEP))) loaded.delete(key);
    return found;
  }

  function loadScript(name) {
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      const done = (act) => (value) => {
        waiting.delete(name);
        script.remove();
        act(value);
      };
      waiting.set(name, done(resolve));
      script.nonce = setup.nonce;
      script.onerror = done(() => reject(new Error(`${setup.folder}/${name}.js is missing beside this page.`)));
      script.src = addresses.createScriptURL(name);
      document.head.append(script);
    });
  }

  // ---- Elements.
  function make(tag, values = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(values)) {
      if (name === "text") element.textContent = value;
      else if (name === "class") element.className = value;
      else element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  }
  const words = (name) => name.replaceAll("_", " ");
  const number = (value) => value.toLocaleString("en");
  const chip = (kind, text) => make("span", { class: `chip ${kind}`, text });

  function picture(row, lazy) {
    const frame = make("div", { class: "frame" });
    if (!row.image) {
      frame.classList.add("text");
      frame.dir = "auto";
      frame.textContent = row.text || "no image";
      return frame;
    }
    const image = make("img", { alt: `Image of ${row.kind} ${row.id}`, decoding: "async" });
    if (lazy) image.loading = "lazy";
    image.addEventListener("error", () => frame.replaceChildren("The image cannot be shown."));
    const address = pictureAddress(row.image);
    if (!address) return frame.append("The image cannot be shown."), frame;
    image.src = address;
    frame.append(image);
    return frame;
  }

  function pictureAddress(key) {
    if (setup.folder) return `${encodeURIComponent(setup.folder)}/${key}.webp`;
    const inside = byId(`picture-${key}`);
    return inside ? JSON.parse(inside.textContent) : "";
  }

  // ---- State: all of it is in the URL, so every view can be linked to.
  const rows = [];
  const lower = [];
  const places = new Map();
  let found = [];
  let page = 0;
  let ready = false;
  let current = new URLSearchParams();

  // A link to a section keeps the selection.
  function read() {
    const hash = location.hash.slice(1);
    if (!hash || hash.includes("=")) current = new URLSearchParams(hash);
  }

  function go(change, keep = false) {
    for (const [name, value] of Object.entries(change)) value ? current.set(name, value) : current.delete(name);
    const target = `#${current.size ? current : "text="}`;
    if (keep) history.replaceState(null, "", target);
    else history.pushState(null, "", target);
    show();
  }

  // ---- Filtering.
  const values = (row, facet, wanted) => {
    if (facet === "filter" || facet === "reason") {
      const place = facet === "filter" ? 0 : 1;
      const other = facet === "filter" ? "reason" : "filter";
      const remarks = wanted.funnel ? row.remarks.filter((r) => r[2]) : row.remarks;
      const mine = wanted[other] ? remarks.filter((r) => r[1 - place] === wanted[other]) : remarks;
      return mine.map((r) => r[place]);
    }
    return row[facet] ? [row[facet]] : [];
  };

  function wantedNow() {
    return Object.fromEntries([...FACETS, "text", "funnel"].map((name) => [name, current.get(name) ?? ""]));
  }

  function filter(wanted) {
    const terms = [...wanted.text.toLowerCase().matchAll(/"([^"]+)"|(\S+)/g)].map((match) => match[1] ?? match[2]);
    const counts = Object.fromEntries(FACETS.map((facet) => [facet, new Map()]));
    found = [];
    for (let at = 0; at < rows.length; at++) {
      const row = rows[at];
      // Ids match by their beginning only, since a few digits occur in many ids.
      if (!terms.every((term) => lower[at].includes(term) || (term.length > 3 && row.id.startsWith(term)))) continue;
      const missed = FACETS.filter((f) => wanted[f] && !values(row, f, wanted).includes(wanted[f]));
      if (missed.length === 0) found.push(at);
      // A choice shows how many rows it would give, so rows excluded by this facet alone are counted.
      for (const facet of FACETS) {
        if (missed.every((f) => f === facet || paired(f, facet))) {
          for (const value of new Set(values(row, facet, wanted)))
            counts[facet].set(value, (counts[facet].get(value) ?? 0) + 1);
        }
      }
    }
    return counts;
  }
  // With a filter selected, `values` returns its reasons only, and vice versa.
  const paired = (a, b) => [a, b].every((f) => f === "filter" || f === "reason");

  function fill(counts, wanted) {
    for (const facet of FACETS) {
      const select = byId("filters").elements[facet];
      const names = [...counts[facet].keys()].sort(collator.compare);
      if (wanted[facet] && !names.includes(wanted[facet])) names.unshift(wanted[facet]);
      const options = names.map((name) =>
        make("option", { value: name, text: `${words(name)} (${number(counts[facet].get(name) ?? 0)})` }),
      );
      select.replaceChildren(make("option", { value: "", text: "any" }), ...options);
      select.value = wanted[facet];
      select.classList.toggle("set", Boolean(wanted[facet]));
    }
    byId("filters").elements.funnel.checked = Boolean(wanted.funnel);
    if (document.activeElement !== byId("search")) byId("search").value = wanted.text;
  }

  // ---- The gallery.
  function card(at) {
    const row = rows[at];
    const chips = [chip(row.fate, row.fate === "dropped" ? words(row.reason) : row.fate)];
    if (row.n) chips.push(chip("", `${row.k}/${row.n} right`));
    chips.push(chip("", row.kind === "question" ? row.stage : `${row.stage} ${row.kind}`));
    if (row.skill) chips.push(chip("", row.skill));
    const about = make("div", { class: "about" });
    if (row.image) about.append(make("p", { class: "words", dir: "auto", text: row.text }));
    about.append(make("div", { class: "chips" }, ...chips));
    const link = make("a", { class: "card", href: address(row.id), "data-at": at }, picture(row, true), about);
    return make("li", {}, link);
  }

  function address(id) {
    const wanted = new URLSearchParams(current);
    wanted.set("q", id);
    return `#${wanted}`;
  }

  function draw() {
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    page = Math.min(page, pages - 1);
    byId("cards").replaceChildren(...found.slice(page * PAGE, (page + 1) * PAGE).map(card));
    byId("page").textContent = `page ${number(page + 1)} of ${number(pages)}`;
    for (const end of ["", "-end"]) {
      byId(`before${end}`).disabled = page === 0;
      byId(`after${end}`).disabled = page === pages - 1;
    }
    for (const button of document.querySelectorAll(".pager.end button")) button.hidden = pages === 1;
    const all = rows.length === setup.rows ? "" : ` (${number(rows.length)} of ${number(setup.rows)} loaded)`;
    const many = found.length === rows.length ? number(found.length) : `${number(found.length)} of ${number(rows.length)}`;
    byId("count").textContent = `${many} ${rows.length === 1 || found.length === 1 ? "row" : "rows"}${all}`;
  }

  function turn(by, focus) {
    const last = Math.ceil(found.length / PAGE) - 1;
    const next = Math.max(0, Math.min(last, page + by));
    if (next === page) return;
    page = next;
    draw();
    if (focus) byId("cards").querySelector("a")?.focus();
    else byId("gallery").scrollIntoView();
  }

  let drawn = "";
  function show() {
    const wanted = wantedNow();
    const key = JSON.stringify([wanted, rows.length]);
    if (key !== drawn) {
      const before = drawn && JSON.stringify(JSON.parse(drawn)[0]);
      if (before !== JSON.stringify(wanted)) page = 0;
      drawn = key;
      fill(filter(wanted), wanted);
      draw();
    }
    openOne(current.get("q") ?? "");
  }

  // ---- One question.
  let opened = "";
  let last = "";
  async function openOne(id) {
    const dialog = byId("one");
    if (!id) {
      opened = "";
      if (dialog.open) dialog.close();
      return;
    }
    // The beginning of an id suffices, as on the command line.
    const at = places.get(id) ?? rows.findIndex((row) => row.id.startsWith(id));
    if (at < 0 || at === undefined) {
      if (!ready) return;
      return showOne(id, make("p", { text: "No row of this page has this id." }));
    }
    if (opened === rows[at].id && dialog.open) return;
    opened = last = rows[at].id;
    const body = make("div", { text: "Loading …" });
    showOne(rows[at].id, body);
    const here = found.indexOf(at);
    byId("one-before").disabled = here <= 0;
    byId("one-after").disabled = here < 0 || here >= found.length - 1;
    try {
      const details = await load(`detail-${Math.floor(at / setup.detailRows)}`);
      if (opened === rows[at].id) body.replaceChildren(...one(rows[at], details[at % setup.detailRows]));
    } catch (error) {
      body.textContent = error.message;
    }
  }

  function showOne(id, body) {
    const dialog = byId("one");
    byId("one-title").textContent = id;
    byId("one-body").replaceChildren(body);
    byId("one-body").scrollTop = 0;
    if (!dialog.open) {
      dialog.showModal();
      byId("one-body").focus();
    }
  }

  function one(row, detail) {
    const problem = make("div", {});
    problem.append(make("p", { class: "problem", dir: "auto", text: detail.problem || (row.kind === "question" ? "" : row.text) }));
    if (detail.options.length) {
      const items = detail.options.map((option, place) => {
        const letter = String.fromCharCode(65 + place);
        const item = make("li", {}, make("span", { class: "letter", text: letter }), make("span", { dir: "auto", text: option }));
        if (letter === detail.key) {
          item.className = "key";
          item.append(make("span", { class: "mark", text: detail.written ? "✓ key, as people corrected it" : "✓ key" }));
        } else if (letter === detail.written) {
          item.append(make("span", { class: "mark", text: "key as it was written" }));
        }
        return item;
      });
      problem.append(make("ul", { class: "options" }, ...items));
    } else if (detail.key) {
      problem.append(make("p", { class: "caption", text: "Answer" }), make("p", { class: "problem", dir: "auto", text: detail.key }));
      if (detail.written) problem.append(make("p", { class: "caption", text: "Original answer, before its correction by people" }), make("p", { class: "problem", dir: "auto", text: detail.written }));
    }
    const chips = [chip(row.fate, row.fate === "dropped" ? `dropped by ${row.filter}: ${words(row.reason)}` : row.fate)];
    const unknown = row.unknown ? `, ${row.unknown} unknown` : "";
    if (row.n || unknown) chips.push(chip("", `pass rate ${row.k} of ${row.n}${unknown}`));
    problem.append(make("p", { class: "chips" }, ...chips));
    const probes = detail.answers.filter((a) => a[0] === "probe");
    if (probes.length) problem.append(make("h3", { text: "What solvers answered" }), matrix(probes));
    const side = make("div", {});
    if (row.image) side.append(picture(row, false));
    if (detail.caption) side.append(make("h3", { text: "Caption" }), make("p", { class: "caption", dir: "auto", text: detail.caption }));
    const top = side.childNodes.length ? make("div", { class: "two" }, side, problem) : problem;
    return [top, ...verdicts(detail), ...asked(detail), ...facts(row, detail)];
  }

  function verdicts(detail) {
    if (!detail.verdicts.length) return [];
    const lines = detail.verdicts.map(([name, keep, reason, said]) =>
      make("tr", {}, make("th", { scope: "row", text: name }),
        make("td", {}, chip(keep ? "kept" : "dropped", keep ? "kept" : "dropped")),
        make("td", { text: reason === "kept" ? "" : words(reason) }), make("td", { dir: "auto", text: said })),
    );
    return [make("h3", { text: "Verdicts" }), table(["filter", "verdict", "reason", "detail"], lines)];
  }

  function table(heads, lines) {
    const head = make("tr", {}, ...heads.map((text) => make("th", { scope: "col", text })));
    const element = make("table", { class: "plain said" }, make("thead", {}, head), make("tbody", {}, ...lines));
    return make("div", { class: "grid-scroll" }, element);
  }

  // A reply: purpose, solver, arm, order, rollout, outcome, answer, finish, detail, tokens, text.
  const saying = ([, , , , , outcome, answer]) => `${SIGNS[outcome] ?? ""} ${answer || outcome}`.trim();

  function asked(detail) {
    const parts = [];
    for (const purpose of ["probe", "audit", "rollout", "refresh"]) {
      const own = detail.answers.filter((a) => a[0] === purpose);
      own.sort((a, b) => collator.compare(a[1], b[1]) || ARMS.indexOf(a[2]) - ARMS.indexOf(b[2]) || a[3] - b[3] || a[4] - b[4]);
      if (!own.length) continue;
      parts.push(make("h3", { text: { probe: "Their replies", audit: "Audit", rollout: "Rollouts", refresh: "Rollouts between stages" }[purpose] }));
      parts.push(make("div", {}, ...own.map(reply)));
    }
    return parts;
  }

  function matrix(own) {
    const arms = ARMS.filter((arm) => own.some((a) => a[2] === arm));
    const solvers = [...new Set(own.map((a) => a[1]))];
    const lines = solvers.map((solver) => {
      const cells = arms.map((arm) => {
        const said = own.filter((a) => a[1] === solver && a[2] === arm);
        return make("td", {}, ...said.map((a) => chip(a[5], a[3] ? `${saying(a)} (rotated)` : saying(a))));
      });
      return make("tr", {}, make("th", { scope: "row", text: solver }), ...cells);
    });
    return table(["solver", ...arms], lines);
  }

  function reply(a) {
    const [purpose, solver, arm, order, rollout, outcome, , finish, detail, tokens, text] = a;
    const name = purpose === "rollout" || purpose === "refresh" ? `${solver} ${rollout + 1}, ${arm}` : `${solver}, ${arm}`;
    const summary = make("summary", {}, make("span", { text: order ? `${name}, options rotated` : name }), chip(outcome, `${saying(a)} · ${outcome}`));
    if (detail) summary.append(make("span", { class: "caption", text: detail }));
    const about = `${number(tokens)} tokens${finish && finish !== "stop" ? `, ended by ${finish}` : ""}`;
    summary.append(chip("", about));
    return make("details", {}, summary, make("pre", { dir: "auto", tabindex: "0", text: text || "(empty)" }));
  }

  function facts(row, detail) {
    const known = [
      ["stage", row.stage], ["source", row.source], ["skill", row.skill], ["licence", detail.license],
      ["image", detail.path], ["written by", detail.teacher],
      ["stage file", detail.places.map(([split, index]) => `${split}, row ${index}`).join("; ")],
    ];
    const list = known.filter(([, value]) => value).flatMap(([name, text]) => [make("dt", { text: name }), make("dd", { dir: "auto", text })]);
    return [make("h3", { text: "About it" }), make("dl", { class: "facts" }, ...list)];
  }

  function step(by) {
    const at = found.indexOf(places.get(opened));
    const next = found[at + by];
    if (at < 0 || next === undefined) return;
    const there = Math.floor((at + by) / PAGE);
    if (there !== page) {
      page = there;
      draw();
    }
    go({ q: rows[next].id }, true);
  }

  // ---- Mouse and keyboard.
  function move(by) {
    const links = [...byId("cards").querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    const next = at < 0 ? (by > 0 ? 0 : links.length - 1) : at + by;
    if (links[next]) links[next].focus();
    else turn(by > 0 ? 1 : -1, true);
  }

  function key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.closest("input[type=search], select");
    if (byId("one").open) {
      const by = { ArrowLeft: -1, ArrowRight: 1, k: -1, j: 1 }[event.key];
      if (by) event.preventDefault(), step(by);
      return;
    }
    if (typing) {
      if (event.key === "Escape") typing.blur();
      return;
    }
    const act = { "/": () => byId("search").focus(), j: () => move(1), k: () => move(-1), n: () => turn(1, true), p: () => turn(-1, true) }[event.key];
    if (act) event.preventDefault(), act();
  }

  let pause = 0;
  function listen() {
    const form = byId("filters");
    form.addEventListener("submit", (event) => event.preventDefault());
    for (const facet of FACETS) form.elements[facet].addEventListener("change", (e) => go({ [facet]: e.target.value }));
    form.elements.funnel.addEventListener("change", (e) => go({ funnel: e.target.checked ? "1" : "" }));
    byId("search").addEventListener("input", (event) => {
      clearTimeout(pause);
      pause = setTimeout(() => go({ text: event.target.value.trim() }, true), 120);
    });
    byId("reset").addEventListener("click", () => {
      byId("search").value = "";
      go(Object.fromEntries([...FACETS, "text", "funnel"].map((name) => [name, ""])));
    });
    for (const end of ["", "-end"]) {
      byId(`before${end}`).addEventListener("click", () => turn(-1));
      byId(`after${end}`).addEventListener("click", () => turn(1));
    }
    byId("one-before").addEventListener("click", () => step(-1));
    byId("one-after").addEventListener("click", () => step(1));
    byId("one-close").addEventListener("click", () => go({ q: "" }, true));
    byId("one").addEventListener("cancel", (event) => {
      event.preventDefault();
      go({ q: "" }, true);
    });
    byId("one").addEventListener("click", (event) => {
      if (event.target === byId("one")) go({ q: "" }, true);
    });
    byId("one").addEventListener("close", () => byId("cards").querySelector(`a[data-at="${places.get(last)}"]`)?.focus());
    document.addEventListener("keydown", key);
    addEventListener("hashchange", arrive);
    addEventListener("popstate", () => {
      read();
      show();
    });
  }
  // A link from a chart scrolls to the gallery; a link to one question does not scroll.
  function arrive() {
    read();
    show();
    const about = location.hash.includes("=") && FACETS.some((name) => current.get(name));
    if (about && !current.get("q")) byId("gallery").scrollIntoView();
  }

  async function begin() {
    listen();
    read();
    for (let at = 0; at * setup.indexRows < setup.rows; at++) {
      let more;
      try {
        more = await load(`index-${at}`);
      } catch (error) {
        byId("count").textContent = `${error.message} Keep the folder ${setup.folder} beside the page.`;
        return;
      }
      for (const row of more) {
        places.set(row.id, rows.length);
        rows.push(row);
        lower.push([row.text, row.key, row.source, row.skill, ...row.options].join("\n").toLowerCase());
      }
      loaded.delete(`index-${at}`);
      if (at === 0) show();
      // Yield between blocks, so that the page stays responsive while it loads.
      await new Promise((resume) => setTimeout(resume));
    }
    ready = true;
    drawn = drawn && JSON.stringify([JSON.parse(drawn)[0], -1]);
    arrive();
    document.documentElement.dataset.ready = "yes";
  }
  begin();
})();
