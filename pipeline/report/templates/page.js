"use strict";
(() => {
  const PAGE = 24, RECORDS = 50, RELOAD = 20_000, RELOADS = 30;
  const lists = JSON.parse(document.getElementById("cards").textContent);
  const tables = JSON.parse(document.getElementById("tables").textContent);
  const at = (id) => document.getElementById(id);
  const gallery = at("gallery"), search = at("search"), kind = at("kind"), tau = at("tau"), order = at("order");
  let page = 0;

  // Captions enter the page as text, never as markup.
  const make = (tag, names = "", text = "") => {
    const element = document.createElement(tag);
    element.className = names;
    element.textContent = text;
    return element;
  };
  const caption = (tag, names, text) => Object.assign(make(tag, names, text), { dir: "auto" });
  const image = (source, alt, names = "") => Object.assign(make("img", names), { src: source, alt });

  // The input and the output: beside each other, or one above the other with a slider.
  const beside = (card) => {
    const box = make("div", card.other ? "beside three" : "beside");
    const other = card.other ? [[card.other, card.input, card.other_name]] : [];
    for (const [source, alt, name] of [[card.source, card.input, card.source_name || "input"], ...other,
      [card.edited, card.output, "output"]]) {
      const half = make("div");
      half.append(image(source, alt), make("em", "", name));
      box.append(half);
    }
    return box;
  };

  const compare = (card) => {
    const box = make("div", "compare");
    const slider = Object.assign(make("input"), { type: "range", min: 0, max: 100, value: 50 });
    slider.setAttribute("aria-label", `Compare input and output: ${card.edit}`);
    const move = () => box.style.setProperty("--at", `${slider.value}%`);
    slider.addEventListener("input", move);
    move();
    box.append(image(card.source, card.input), image(card.edited, card.output, "edited"), slider,
      make("em", "", "input"), make("em", "", "output"));
    return box;
  };

  const texts = (card) => {
    const box = make("div", "text");
    box.append(caption("strong", "", card.edit), caption("p", "", card.input), caption("p", "", `→ ${card.output}`));
    if (card.scores) {
      const s = card.scores;
      box.append(make("p", "numbers", `τ ${card.tau} · guidance ${card.guidance} · direction ${s.clip_sim_dir} · likeness ${s.clip_sim_image} · captions ${s.clip_sim_0}, ${s.clip_sim_1}`));
    }
    box.append(make("code", "key", card.key));
    if (card.why) box.append(make("p", "why", card.why));
    return box;
  };

  const strip = (card) => {
    const box = make("article", "card strip"), row = make("ol");
    // A wide strip scrolls sideways, so the keyboard must reach it.
    row.tabIndex = 0;
    row.setAttribute("aria-label", `Edits over τ: ${card.edit}`);
    const cell = (source, alt, head, below, names = "") => {
      const item = make("li", names);
      if (source) item.append(image(source, alt));
      item.append(make("b", "", head), make("div", "", below));
      row.append(item);
    };
    cell(card.source, card.input, card.source_name || "source", "");
    if (card.other) cell(card.other, card.input, card.other_name, "");
    for (const edit of card.edits) {
      cell(edit.picture, `${card.output}, τ ${edit.tau}`, `τ ${edit.tau}${edit.kept ? " kept" : ""}`,
        `dir ${edit.clip_sim_dir.toFixed(2)} · img ${edit.clip_sim_image.toFixed(2)}`, edit.kept ? "kept" : "");
    }
    box.append(texts(card), row, ...attention(card));
    return box;
  };

  const attention = (card) => {
    if (!card.maps.length) return [];
    const box = make("div", "maps");
    box.append(make("h3", "", "Attention of the model to each word"));
    card.maps.forEach(({ tau, words }, index) => {
      const others = new Set(card.maps[1 - index].words.map((entry) => entry.word));
      const name = tau === null ? "in the source" : `in the edit, τ ${tau}`, row = make("ol");
      row.tabIndex = 0;
      row.setAttribute("aria-label", `Attention to each word ${name}: ${card.edit}`);
      for (const { word, picture } of words) {
        const item = make("li", others.has(word) ? "" : "changed");
        if (picture) item.append(image(picture, `${word}, ${name}`));
        item.append(caption("b", "", word));
        row.append(item);
      }
      box.append(make("p", "", name), row);
    });
    return [box];
  };

  const single = (card) => {
    const box = make("article", "card");
    if (card.source && card.edited) box.append(view() === "slider" ? compare(card) : beside(card));
    else box.append(make("p", "none", "no picture of this candidate was stored"));
    box.append(texts(card));
    return box;
  };

  const controls = document.querySelector(".controls");
  const current = () => controls.elements.namedItem("list").value;
  const view = () => controls.elements.namedItem("view").value;
  const words = () => search.value.toLowerCase().split(/\s+/).filter(Boolean);

  const matching = () => {
    const wanted = words();
    const cards = lists[current()].filter((card) => {
      const text = `${card.edit} ${card.input} ${card.output}`.toLowerCase();
      const taus = card.edits ? card.edits.map((edit) => edit.tau) : [card.tau];
      return wanted.every((word) => text.includes(word)) && (!kind.value || card.kind === kind.value)
        && (!tau.value || taus.includes(Number(tau.value)));
    });
    if (order.value && current() !== "strips") cards.sort((a, b) => b.scores[order.value] - a.scores[order.value]);
    return cards;
  };

  const show = () => {
    const cards = matching(), pages = Math.max(1, Math.ceil(cards.length / PAGE));
    page = Math.min(page, pages - 1);
    const strips = current() === "strips";
    gallery.className = strips ? "wide" : view();
    gallery.replaceChildren(...cards.slice(page * PAGE, (page + 1) * PAGE).map(strips ? strip : single));
    at("count").textContent = `${cards.length} of ${lists[current()].length} shown`;
    at("page").textContent = `Page ${page + 1} of ${pages}`;
    at("before").disabled = page === 0;
    at("after").disabled = page === pages - 1;
  };

  const choices = (select, values) => {
    for (const value of values) select.append(new Option(value, value));
    select.hidden = values.length < 2;
  };
  const all = Object.values(lists).flat();
  choices(kind, [...new Set(all.map((card) => card.kind).filter(Boolean))].sort());
  const taus = [...new Set(all.flatMap((card) => (card.edits || [card]).map((candidate) => candidate.tau)))].sort((a, b) => a - b);
  choices(tau, taus.length > 24 ? [] : taus);

  // The address has every choice that differs from the first ones, so that a view can be sent.
  controls.reset();
  const first = new FormData(controls);
  const remember = () => {
    const chosen = new URLSearchParams(new FormData(controls));
    for (const [name, value] of first) if (chosen.get(name) === value) chosen.delete(name);
    if (page) chosen.set("page", page + 1);
    history.replaceState(history.state, "", `#${chosen}`);
  };
  const recall = () => {
    // Without "=" it is the name of a section.
    if (!location.hash.includes("=")) return;
    const chosen = new URLSearchParams(location.hash.slice(1));
    controls.reset();
    for (const [name, value] of chosen) {
      const field = controls.elements.namedItem(name);
      if (!field) continue;
      field.value = value;
      if (field.selectedIndex === -1) field.value = "";
    }
    page = Math.max(1, Number(chosen.get("page")) || 1) - 1;
    at("pairs").scrollIntoView();
  };
  window.addEventListener("hashchange", () => { recall(); show(); });

  const restart = () => { page = 0; show(); remember(); };
  controls.addEventListener("input", restart);
  controls.addEventListener("submit", (event) => event.preventDefault());
  const turn = (by) => { page += by; show(); remember(); at("pairs").scrollIntoView(); };
  at("before").addEventListener("click", () => turn(-1));
  at("after").addEventListener("click", () => turn(1));
  recall();
  show();

  // A live run's page loads itself again, until it is the page of an ended run or was not written for a while.
  const live = at("live");
  if (live) {
    const { made, times } = history.state || {};
    const tries = made === live.dataset.made ? times + 1 : 0;
    history.replaceState({ made: live.dataset.made, times: tries }, "");
    const again = () => {
      if (document.hidden || controls.contains(document.activeElement)) setTimeout(again, RELOAD);
      else location.reload();
    };
    if (tries < RELOADS) setTimeout(again, RELOAD);
    else live.hidden = true;
  }

  const paginate = (box) => {
    const records = tables[box.dataset.table], body = box.querySelector("tbody");
    const position = box.querySelector(".pager span"), [previous, next] = box.querySelectorAll(".pager button");
    const last = Math.ceil(records.length / RECORDS) - 1;
    let current = 0;
    const draw = (number) => {
      current = number;
      body.replaceChildren(...records.slice(number * RECORDS, (number + 1) * RECORDS).map((record) => {
        const line = make("tr");
        line.append(...record.map((text) => caption("td", "", text)));
        return line;
      }));
      box.querySelector(".scroll").scrollTop = 0;
      position.textContent = `Page ${number + 1} of ${last + 1}`;
      previous.disabled = number === 0;
      next.disabled = number === last;
    };
    previous.addEventListener("click", () => draw(current - 1));
    next.addEventListener("click", () => draw(current + 1));
    box.querySelector(".pager").hidden = last < 1;
    draw(0);
  };
  document.querySelectorAll("[data-table]").forEach(paginate);
})();
