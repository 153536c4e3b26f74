// The paper: strokes by mouse, finger or keyboard, kept as lines so that they can be drawn again in any
// colours, and be undone. The picture for the model is white ink on black, whatever the page's colours.

const SIDE = 280; // the picture that is sent, and the unit of all positions
const PEN = 22;
const STEP = 8;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export function makePad(canvas, { changed, said }) {
  const strokes = [];
  const pressed = new Set();
  const pen = { x: SIDE / 2, y: SIDE / 4, down: false, shown: false };
  let pointer = null;

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * SIDE, ((event.clientY - box.top) / box.height) * SIDE];
  };

  function draw() {
    const context = canvas.getContext("2d");
    const style = getComputedStyle(canvas);
    context.setTransform(canvas.width / SIDE, 0, 0, canvas.height / SIDE, 0, 0);
    context.clearRect(0, 0, SIDE, SIDE);
    ink(context, strokes, style.color);
    if (pen.shown) cursor(context, style.getPropertyValue("--accent"));
  }

  function cursor(context, colour) {
    context.strokeStyle = colour;
    context.lineWidth = pen.down ? 4 : 2;
    context.setLineDash(pen.down ? [] : [4, 4]);
    context.beginPath();
    context.arc(pen.x, pen.y, PEN / 2 + 3, 0, 2 * Math.PI);
    context.stroke();
    context.setLineDash([]);
  }

  function update() {
    draw();
    changed();
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (pointer !== null || event.button !== 0) return;
    pointer = event.pointerId;
    canvas.setPointerCapture(pointer);
    pen.shown = pen.down = false;
    strokes.push([place(event)]);
    update();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    strokes.at(-1)?.push(...(events.length ? events : [event]).map(place));
    update();
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, (event) => {
      if (event.pointerId !== pointer) return;
      pointer = null;
      update();
    });
  }

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) {
      if (event.key !== "z" || event.altKey) return;
      undo();
    } else if (event.key in ARROWS) {
      pressed.add(event.key);
      move(event.shiftKey ? STEP / 2 : STEP);
    } else if (event.key === " ") {
      if (event.repeat) return;
      pen.shown = true;
      pen.down = !pen.down;
      said(pen.down ? "Pen down" : "Pen up");
      if (pen.down) strokes.push([[pen.x, pen.y]]);
      update();
    } else if (event.key === "Backspace" || event.key === "Delete") {
      undo();
    } else if (event.key === "Escape") {
      clear();
    } else {
      return;
    }
    event.preventDefault();
  });
  canvas.addEventListener("keyup", (event) => pressed.delete(event.key));
  canvas.addEventListener("focus", () => {
    pen.shown = canvas.matches(":focus-visible");
    draw();
  });
  canvas.addEventListener("blur", () => {
    pressed.clear();
    pen.shown = pen.down = false;
    draw();
  });

  // Two arrow keys that are held move the pen aslant.
  function move(step) {
    const inside = (value) => Math.min(Math.max(value, PEN / 2), SIDE - PEN / 2);
    for (const key of pressed) {
      pen.x = inside(pen.x + ARROWS[key][0] * step);
      pen.y = inside(pen.y + ARROWS[key][1] * step);
    }
    pen.shown = true;
    if (pen.down) strokes.at(-1)?.push([pen.x, pen.y]);
    if (pen.down) update();
    else draw();
  }

  function undo() {
    strokes.pop();
    pen.down = false;
    update();
  }

  function clear() {
    strokes.length = 0;
    pen.down = false;
    update();
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  matchMedia("(forced-colors: active)").addEventListener("change", draw);

  return {
    undo,
    clear,
    get isBlank() {
      return strokes.length === 0;
    },
    // The drawing as PNG, in base64.
    picture() {
      const paper = document.createElement("canvas");
      paper.width = paper.height = SIDE;
      const context = paper.getContext("2d");
      context.fillStyle = "black";
      context.fillRect(0, 0, SIDE, SIDE);
      ink(context, strokes, "white");
      return paper.toDataURL("image/png").split(",")[1];
    },
  };
}

function ink(context, strokes, colour) {
  context.strokeStyle = colour;
  context.lineWidth = PEN;
  context.lineCap = context.lineJoin = "round";
  for (const [first, ...others] of strokes) {
    context.beginPath();
    context.moveTo(...first);
    // A line of no length would not be drawn: a dot is one that is nearly so.
    for (const point of others.length ? others : [[first[0] + 0.1, first[1]]]) context.lineTo(...point);
    context.stroke();
  }
}
