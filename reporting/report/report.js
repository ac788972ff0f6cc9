"use strict";
// Draws the figures of the report and shows or hides encoders in all of them.
(() => {
  const NARROW = 600; // pixels, below which panels stand one above the other
  const LONG = 18; // letters of a name beside an axis, of which more leave no room on a phone
  const report = JSON.parse(document.getElementById("report-data").textContent);
  const plots = [...document.querySelectorAll("[data-figure]")];
  const boxes = [...document.querySelectorAll("[data-encoder]")];
  const families = [...document.querySelectorAll("[data-family]")];
  const status = document.getElementById("shown");
  const hidden = new Set();

  const visible = (owner) => owner === null || owner.some((place) => !hidden.has(place));

  function picked(value, keep, key) {
    if (Array.isArray(value)) {
      const each = value.length === keep.length && key !== "colorscale";
      return each ? value.filter((_, place) => keep[place]) : value;
    }
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, held]) => [name, picked(held, keep, name)]));
  }

  function withoutHidden(trace, owners) {
    if (owners === null) return trace;
    if (owners.all) return visible(owners.all) ? trace : { ...trace, visible: false };
    const keep = (owners.points || owners.rows || owners.columns).map(visible);
    if (keep.every(Boolean)) return trace;
    if (owners.points) return picked(trace, keep);
    const across = Boolean(owners.columns);
    const cut = (rows) => Array.isArray(rows) && Array.isArray(rows[0])
      ? (across ? rows.map((row) => row.filter((_, place) => keep[place]))
        : rows.filter((_, place) => keep[place]))
      : rows;
    const made = { ...trace };
    for (const name of ["z", "text", "customdata", "hovertext"]) made[name] = cut(trace[name]);
    const axis = across ? "x" : "y";
    made[axis] = trace[axis].filter((_, place) => keep[place]);
    return made;
  }

  // Panels of a grid as one column; their titles go with them.
  function stacked(layout) {
    const panels = Object.keys(layout).filter((key) => /^xaxis\d*$/.test(key)).map((key) => {
      const x = layout[key];
      const name = (x.anchor && x.anchor !== "free" ? x.anchor : "y" + key.slice(5));
      const other = "yaxis" + name.slice(1);
      return { key, other, x: x.domain || [0, 1], y: (layout[other] || {}).domain || [0, 1] };
    });
    if (new Set(panels.map((panel) => panel.x[0].toFixed(3))).size < 2) return layout;
    panels.sort((a, b) => b.y[1] - a.y[1] || a.x[0] - b.x[0]);
    const rows = new Set(panels.map((panel) => panel.y[1].toFixed(3))).size;
    const height = layout.height * panels.length / rows;
    const gap = Math.min(0.4 / panels.length, 100 / height);
    const tall = (1 - gap * (panels.length - 1)) / panels.length;
    const made = { ...layout, height };
    const moved = new Map();
    panels.forEach((panel, place) => {
      const top = 1 - place * (tall + gap);
      made[panel.key] = { ...layout[panel.key], domain: [0, 1] };
      made[panel.other] = { ...layout[panel.other], domain: [top - tall, top] };
      moved.set(panel, top);
    });
    made.annotations = (layout.annotations || []).map((note) => {
      if (note.xref !== "paper" || note.yref !== "paper") return note;
      const near = panels.find((panel) => Math.abs(panel.y[1] - note.y) < 0.02
        && panel.x[0] <= note.x && note.x <= panel.x[1]);
      return near ? { ...note, x: 0.5, y: moved.get(near) } : note;
    });
    return made;
  }

  function forPhones(layout) {
    const made = stacked(layout);
    const margin = { ...made.margin, l: Math.min(made.margin.l, 40), r: 8 };
    const font = { ...made.font, size: Math.min((made.font || {}).size || 13, 12) };
    const annotations = (made.annotations || []).map((note) => (
      { ...note, font: { ...note.font, size: Math.min((note.font || {}).size || 12, 12) } }));
    const above = (made.legend || {}).yref === "container"; // keeps its place at the upper edge
    const legend = above ? made.legend : { ...made.legend, orientation: "h", x: 0, y: -0.2 };
    return { ...made, margin, font, annotations, legend };
  }

  // Names beside points, maps of many columns and long names at an axis need a wide figure.
  function crowded(data, layout) {
    const ticks = Object.keys(layout).filter((key) => /^yaxis\d*$/.test(key))
      .flatMap((key) => layout[key].ticktext || []);
    const maps = data.filter((trace) => trace.type === "heatmap");
    return [...ticks, ...maps.flatMap((map) => map.y || [])].some((name) => name.length > LONG)
      || maps.some((map) => (map.x || []).length > 8)
      || data.some((trace) => (trace.mode || "").includes("text"));
  }

  function draw(plot) {
    const { data, layout, owners } = report.figures[Number(plot.dataset.figure)];
    const shown = data.map((trace, place) => withoutHidden(trace, owners[place]));
    const narrow = window.innerWidth < NARROW;
    const fitting = structuredClone(narrow ? forPhones(layout) : layout);
    const wide = narrow && crowded(data, layout);
    plot.classList.toggle("wide", wide);
    plot.parentElement.toggleAttribute("tabindex", wide); // moved by arrow keys
    if (wide) plot.parentElement.tabIndex = 0;
    return Plotly.react(plot, structuredClone(shown), fitting,
      { responsive: true, displayModeBar: false });
  }

  let turn = 0;
  async function drawAll() {
    const own = ++turn;
    delete document.body.dataset.drawn;
    for (const plot of plots) {
      if (own !== turn) return; // a later choice began anew
      await draw(plot);
      await new Promise((resume) => setTimeout(resume)); // keys and taps come in between
    }
    document.body.dataset.drawn = String(plots.length);
  }

  function choose() {
    hidden.clear();
    for (const box of boxes) if (!box.checked) hidden.add(Number(box.dataset.encoder));
    for (const family of families) {
      const own = boxes.filter((box) => box.dataset.of === family.dataset.family);
      const on = own.filter((box) => box.checked).length;
      family.checked = on === own.length;
      family.indeterminate = on > 0 && on < own.length;
    }
    for (const row of document.querySelectorAll("tr[data-owner]")) {
      row.hidden = !visible(JSON.parse(row.dataset.owner));
    }
    status.textContent = `${boxes.length - hidden.size} of ${boxes.length} encoders shown`;
    drawAll();
  }

  for (const box of boxes) box.addEventListener("change", choose);
  for (const family of families) {
    family.addEventListener("change", () => {
      for (const box of boxes) {
        if (box.dataset.of === family.dataset.family) box.checked = family.checked;
      }
      choose();
    });
  }
  for (const button of document.querySelectorAll("[data-all]")) {
    button.addEventListener("click", () => {
      for (const box of boxes) box.checked = button.dataset.all === "yes";
      choose();
    });
  }
  let narrow = window.innerWidth < NARROW;
  window.addEventListener("resize", () => {
    if (narrow === window.innerWidth < NARROW) return;
    narrow = !narrow;
    drawAll();
  });
  drawAll();
})();
