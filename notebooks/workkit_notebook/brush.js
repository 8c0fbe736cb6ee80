// A histogram over time with a brush: drag to choose a span, drag an end to change it, or use the
// keys. The kernel hears of a span when the drag ends.
const WIDTH = 720;
const HEIGHT = 70;
const NEAR = 6; // pixels within which a drag takes an end of the span
const COLOURS = {
  bar: "var(--jp-brand-color1, #1976d2)",
  pale: "var(--jp-border-color1, #bbb)",
  line: "var(--jp-border-color2, #ddd)",
  text: "var(--jp-ui-font-color2, #777)",
  brush: "var(--jp-brand-color1, #1976d2)",
};

function shape(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, value);
  }
  return made;
}

function render({ model, el }) {
  const svg = shape("svg", {
    width: WIDTH, height: HEIGHT + 18, viewBox: `0 0 ${WIDTH} ${HEIGHT + 18}`, tabindex: 0,
    role: "slider", "aria-label": "dead jobs over time", class: "workkit-brush",
    style: "cursor: crosshair; touch-action: none; max-width: 100%; user-select: none",
  });
  el.appendChild(svg);
  let drag = null;

  const buckets = () => Math.max(model.get("counts").length, 1);
  const width = () => WIDTH / buckets();
  const chosen = () => (drag ? drag.span : model.get("index"));
  const isWhole = ([low, high]) => low === 0 && high === buckets();

  function at(event) {
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * WIDTH;
    return Math.min(Math.max(x, 0), WIDTH);
  }

  function draw() {
    const counts = model.get("counts");
    const labels = model.get("labels");
    const [low, high] = chosen();
    const most = Math.max(1, ...counts);
    const parts = counts.map((count, place) => {
      const height = count ? Math.max((count / most) * HEIGHT, 1) : 0;
      const inside = low <= place && place < Math.max(high, low + 1);
      const bar = shape("rect", {
        x: place * width(), y: HEIGHT - height, width: Math.max(width() - 1, 0.5), height,
        fill: inside ? COLOURS.bar : COLOURS.pale,
      });
      const title = shape("title", {});
      title.textContent = `${count}, from ${labels[place] ?? ""}`;
      bar.appendChild(title);
      return bar;
    });
    parts.push(shape("line", {
      x1: 0, y1: HEIGHT, x2: WIDTH, y2: HEIGHT, stroke: COLOURS.line,
    }));
    if (!isWhole([low, high])) {
      parts.push(shape("rect", {
        x: low * width(), y: 0, width: Math.max((high - low) * width(), 1), height: HEIGHT,
        fill: COLOURS.brush, "fill-opacity": 0.12, stroke: COLOURS.brush, "stroke-width": 1,
      }));
    }
    for (const [place, anchor] of [[low, "start"], [high, "end"]]) {
      const text = shape("text", {
        x: place * width(), y: HEIGHT + 14, "font-size": 11, fill: COLOURS.text,
        "text-anchor": place === 0 ? "start" : place === buckets() ? "end" : anchor,
      });
      text.textContent = labels[place] ?? "";
      parts.push(text);
    }
    svg.replaceChildren(...parts);
    svg.setAttribute("aria-valuemin", 0);
    svg.setAttribute("aria-valuemax", buckets());
    svg.setAttribute("aria-valuenow", low);
    svg.setAttribute("aria-valuetext", `from ${labels[low] ?? ""} to ${labels[high] ?? ""}`);
  }

  function choose([low, high]) {
    model.set("index", [low, high]);
    model.save_changes();
    draw();
  }

  function span(from, to) {
    const [low, high] = from < to ? [from, to] : [to, from];
    const first = Math.min(Math.floor(low / width()), buckets() - 1);
    return [first, Math.min(Math.max(Math.ceil(high / width()), first + 1), buckets())];
  }

  svg.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) {
      return;
    }
    const x = at(event);
    const now = model.get("index");
    const [low, high] = now.map((place) => place * width());
    let from = x;
    let move = null;
    if (!isWhole(now)) {
      if (Math.abs(x - low) <= NEAR) {
        from = high - 0.001;
      } else if (Math.abs(x - high) <= NEAR) {
        from = low + 0.001;
      } else if (low < x && x < high) {
        move = now;
      }
    }
    drag = { from, x, move, span: now };
    svg.setPointerCapture(event.pointerId);
    svg.focus({ preventScroll: true });
    event.preventDefault();
  });
  svg.addEventListener("pointermove", (event) => {
    if (!drag) {
      return;
    }
    const x = at(event);
    if (drag.move) {
      const [low, high] = drag.move;
      const wanted = Math.round((x - drag.x) / width());
      const by = Math.min(Math.max(wanted, -low), buckets() - high);
      drag.span = [low + by, high + by];
    } else {
      drag.span = span(drag.from, x);
    }
    draw();
  });
  svg.addEventListener("pointerup", (event) => {
    if (!drag) {
      return;
    }
    const moved = Math.abs(at(event) - drag.x) > 2;
    const found = moved ? drag.span : span(drag.x, drag.x);
    drag = null;
    choose(found);
  });
  svg.addEventListener("pointercancel", () => {
    drag = null;
    draw();
  });
  svg.addEventListener("dblclick", () => choose([0, buckets()]));
  svg.addEventListener("keydown", (event) => {
    const [low, high] = model.get("index");
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape" || event.key === "Home") {
      choose([0, buckets()]);
    } else if (by && event.shiftKey) {
      choose([low, Math.min(Math.max(high + by, low + 1), buckets())]);
    } else if (by && event.altKey) {
      choose([Math.min(Math.max(low + by, 0), high - 1), high]);
    } else if (by && low + by >= 0 && high + by <= buckets()) {
      choose([low + by, high + by]);
    } else if (!by) {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  });

  const changes = ["counts", "labels", "index"];
  changes.forEach((name) => model.on(`change:${name}`, draw));
  draw();
  return () => changes.forEach((name) => model.off(`change:${name}`, draw));
}

export default { render };
