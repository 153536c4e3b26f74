// The page: which server is asked, over which protocol, for which versions, and how it is.

import { get, Trouble } from "./api.js";
import { makeDigit } from "./digit.js";
import { makeReview } from "./review.js";
import { byId } from "./show.js";

const LOOK_AGAIN = { well: 15_000, trouble: 3_000 };
const VERSIONS = { mnist: byId("digit-version"), imdb: byId("review-version") };
const state = byId("state");
let protocol = null;
let cards = {};
let timer;

start();

async function start() {
  let told;
  try {
    told = await get("/api/servers");
  } catch (error) {
    tell("trouble", error.message);
    setTimeout(start, LOOK_AGAIN.trouble);
    return;
  }
  cards = {
    mnist: makeDigit(() => choice("mnist"), told.labels.mnist, look),
    imdb: makeReview(() => choice("imdb"), told.limits, look),
  };
  for (const [model, select] of Object.entries(VERSIONS)) {
    select.addEventListener("change", () => cards[model].again());
  }
  offerProtocols(told.servers);
  document.addEventListener("visibilitychange", () => document.hidden || look());
  look();
}

function offerProtocols(servers) {
  const names = Object.keys(servers);
  protocol = names[0];
  byId("where").textContent = `Asking ${Object.values(servers).join(" and ")}`;
  for (const radio of document.querySelectorAll("[name=protocol]")) {
    radio.disabled = !names.includes(radio.value);
    radio.checked = radio.value === protocol;
    if (radio.disabled) {
      radio.parentElement.title = `Start the playground with --url ${radio.value}://… too to choose this`;
    }
    radio.addEventListener("change", () => {
      protocol = radio.value;
      again();
      look();
    });
  }
}

const again = () => Object.values(cards).forEach((card) => card.again());

function choice(model) {
  const { value } = VERSIONS[model];
  return { protocol, version: value === "" ? null : Number(value) };
}

// Asks which versions the server has, now and again: one may be published or withdrawn, or the server come up.
async function look() {
  clearTimeout(timer);
  if (document.hidden) return;
  const asked = protocol;
  const wasWell = state.dataset.state === "well";
  try {
    const { models } = await get(`/api/status?protocol=${protocol}`);
    if (asked !== protocol) return;
    offerVersions(models);
    if (!wasWell) again();
  } catch (error) {
    if (!(error instanceof Trouble)) throw error;
    if (asked !== protocol) return;
    tell("trouble", error.message);
  }
  timer = setTimeout(look, LOOK_AGAIN[state.dataset.state] ?? LOOK_AGAIN.trouble);
}

function offerVersions(models) {
  const missing = [];
  for (const [model, select] of Object.entries(VERSIONS)) {
    const there = models[model].filter((one) => one.state === "AVAILABLE").map((one) => String(one.version));
    if (!there.length) missing.push(model);
    const chosen = select.value;
    const values = ["", ...there];
    // A version that went away stays chosen: the answer to it says what became of it.
    if (!values.includes(chosen)) values.push(chosen);
    const now = [...select.options].map((option) => option.value);
    if (values.join() === now.join()) continue;
    select.replaceChildren(...values.map((value) => new Option(value || "latest", value)));
    select.value = chosen;
  }
  if (missing.length) tell("trouble", `The server has no model ${missing.join(" and no ")} that it serves now.`);
  else tell("well", "The server is ready.");
}

function tell(kind, text) {
  state.dataset.state = kind;
  if (state.textContent !== text) state.textContent = text;
}
