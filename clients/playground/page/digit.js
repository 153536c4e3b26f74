// The card with the paper: while a digit is drawn, the picture so far is asked about.

import { newestOnly, post } from "./api.js";
import { makePad } from "./pad.js";
import { makeRequest } from "./requests.js";
import { byId, makeMeta, makeSaid, makeTrouble, percent } from "./show.js";

const SIDE = 28;

export function makeDigit(choice, labels, lookAgain) {
  const answer = byId("digit-answer");
  const bars = makeBars(byId("bars"), labels);
  const [meta, said, trouble] = [
    makeMeta(byId("digit-meta")),
    makeSaid(byId("digit-said")),
    makeTrouble(byId("digit-trouble")),
  ];
  const request = makeRequest(byId("digit-request"));
  const questions = newestOnly(
    async (picture) => {
      const { protocol, version } = choice();
      return { ...(await post("/api/digit", { protocol, version, picture })), protocol };
    },
    { answered: show, failed, busy: (now) => answer.setAttribute("aria-busy", String(now)) },
  );
  const pad = makePad(byId("pad"), { changed, said: (text) => (byId("pen-said").textContent = text) });
  byId("undo").addEventListener("click", () => pad.undo());
  byId("clear").addEventListener("click", () => pad.clear());

  function changed() {
    byId("undo").disabled = byId("clear").disabled = pad.isBlank;
    byId("digit").classList.toggle("begun", !pad.isBlank);
    if (pad.isBlank) {
      questions.forget();
      reset("no drawing yet");
      trouble(null);
    } else {
      questions.ask(pad.picture());
    }
  }

  function show(found) {
    trouble(null);
    delete answer.dataset.empty;
    answer.querySelector(".label").textContent = found.label;
    answer.querySelector(".share").textContent = percent(found.probability);
    bars(found.probabilities, found.label);
    drawSeen(found.pixels);
    meta(found.protocol, found);
    request(found.code);
    said(`It is a ${found.label}, ${percent(found.probability)}`);
  }

  function reset(words) {
    answer.dataset.empty = "";
    answer.querySelector(".label").textContent = "–";
    answer.querySelector(".share").textContent = words;
    bars({}, null);
    drawSeen(null);
    meta(null, null);
    request(null);
    said("");
  }

  function failed(message) {
    reset("no answer");
    trouble(message);
    lookAgain();
  }

  reset("no drawing yet");
  return { again: changed };
}

function drawSeen(pixels) {
  const canvas = byId("seen");
  const context = canvas.getContext("2d");
  const image = context.createImageData(SIDE, SIDE);
  for (let place = 0; place < SIDE * SIDE; place += 1) {
    image.data.fill(pixels?.[place] ?? 0, 4 * place, 4 * place + 3);
    image.data[4 * place + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  canvas.setAttribute(
    "aria-label",
    pixels ? "The picture that the model sees: your drawing, centred" : "The picture that the model sees, blank",
  );
}

function makeBars(list, labels) {
  const rows = labels.map((label) => {
    const row = document.createElement("li");
    const [value, bar, name] = ["value", "bar", "name"].map((kind) => {
      const part = document.createElement("span");
      part.className = kind;
      return part;
    });
    name.textContent = label;
    row.append(name, bar, value);
    list.append(row);
    return { label, row, value };
  });
  return (probabilities, best) => {
    for (const { label, row, value } of rows) {
      const share = probabilities[label];
      row.style.setProperty("--share", share ?? 0);
      row.classList.toggle("best", label === best);
      value.textContent = share === undefined ? "" : share < 0.005 ? "0" : `${Math.round(share * 100)}`;
      row.setAttribute("aria-label", share === undefined ? label : `${label}: ${percent(share)}`);
    }
  };
}
