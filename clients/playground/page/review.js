// The card with the review: its sentiment, and what each word adds to it.

import { newestOnly, post } from "./api.js";
import { makeRequest } from "./requests.js";
import { byId, makeMeta, makeSaid, makeTrouble, percent } from "./show.js";

const PAUSE = 300; // of typing, in milliseconds, before the review is asked about
const STRONG = 1; // the log-odds at which a word has its full colour, where no word has more
const FAINT = 0.08; // below this share of the strongest a word stays plain
const LISTED = 5;
const LEAST = 0.005; // what is less is a zero with two digits
const WORD = /[^\s!"#$%&()*+,\-./:;<=>?@[\\\]^_`{|}~]/;
const EXAMPLES = {
  praise:
    "A wonderful little film. The acting is superb, the story moves you, and the last scene is one of the most " +
    "beautiful I have seen this year. I loved every minute of it.",
  blame:
    "What a waste of two hours. The plot is predictable, the dialogue is awful, and nobody in it can act. " +
    "Boring from the first scene to the last: the worst film of the year.",
  both:
    "The first half is excellent, with brilliant photography and a great score. Then the story falls apart, and " +
    "the ending is so stupid that it is hard to say whether the film was worth it.",
};

export function makeReview(choice, limits, lookAgain) {
  const [text, answer, scale, words] = ["text", "review-answer", "scale", "words"].map(byId);
  const [meta, said, trouble] = [
    makeMeta(byId("review-meta")),
    makeSaid(byId("review-said")),
    makeTrouble(byId("review-trouble")),
  ];
  const request = makeRequest(byId("review-request"));
  const questions = newestOnly(
    async (review) => {
      const { protocol, version } = choice();
      return { ...(await post("/api/review", { protocol, version, text: review })), protocol };
    },
    { answered: show, failed, busy: (now) => answer.setAttribute("aria-busy", String(now)) },
  );
  let timer;
  text.addEventListener("input", () => changed(PAUSE));
  for (const button of document.querySelectorAll("[data-example]")) {
    button.addEventListener("click", () => {
      text.value = EXAMPLES[button.dataset.example];
      changed(0);
    });
  }

  function changed(pause) {
    clearTimeout(timer);
    const length = [...text.value].length;
    byId("count").textContent = length ? `${length.toLocaleString("en")} characters` : "";
    questions.forget();
    if (length > limits.characters) {
      const limit = limits.characters.toLocaleString("en");
      fail(`The review has ${length.toLocaleString("en")} characters; expected up to ${limit}.`);
    } else if (WORD.test(text.value)) {
      timer = setTimeout(() => questions.ask(text.value), pause);
    } else if (text.value.trim()) {
      fail("There is no word in this review yet.");
    } else {
      trouble(null);
      reset("no review yet");
    }
  }

  function show(found) {
    trouble(null);
    delete answer.dataset.empty;
    answer.dataset.label = found.label;
    answer.querySelector(".label").textContent = found.label;
    answer.querySelector(".share").textContent = percent(found.probability);
    setScale(found.probabilities.positive);
    showWords(found, limits);
    meta(found.protocol, found);
    request(found.code);
    said(`The review is ${found.label}, ${percent(found.probability)}`);
  }

  function setScale(positive) {
    scale.style.setProperty("--share", positive ?? 0.5);
    scale.toggleAttribute("data-empty", positive === null);
    const label = positive === null ? "No answer yet" : `${percent(positive)} positive`;
    scale.setAttribute("aria-label", label);
  }

  function reset(note) {
    answer.dataset.empty = "";
    delete answer.dataset.label;
    answer.querySelector(".label").textContent = "–";
    answer.querySelector(".share").textContent = note;
    setScale(null);
    words.hidden = true;
    meta(null, null);
    request(null);
    said("");
  }

  function fail(message) {
    reset("no answer");
    trouble(message);
  }

  function failed(message) {
    fail(message);
    lookAgain();
  }

  reset("no review yet");
  return { again: () => changed(0) };
}

function showWords(found, limits) {
  const weighed = found.pieces.filter(([, weight]) => weight !== null);
  const strongest = Math.max(STRONG, ...weighed.map(([, weight]) => Math.abs(weight)));
  byId("words").hidden = false;
  byId("marked").replaceChildren(...found.pieces.map(([text, weight]) => piece(text, weight, strongest)));
  const unlike = new Map(weighed.map(([text, weight]) => [text.toLowerCase(), weight]));
  const ordered = [...unlike].sort((one, other) => other[1] - one[1]);
  list(byId("toward"), ordered.filter(([, weight]) => weight >= LEAST).slice(0, LISTED));
  list(byId("away"), ordered.filter(([, weight]) => weight <= -LEAST).reverse().slice(0, LISTED));
  byId("words-note").textContent = note(found, limits);
}

function note(found, limits) {
  if (found.weighed === 0) return "A single word cannot be left out.";
  const how = "Each word was left out in turn. Its number is what it adds to the log-odds of a positive review.";
  if (found.weighed === found.words) return how;
  return `${how} Of ${found.words} different words only the first ${limits.words} were left out.`;
}

function piece(text, weight, strongest) {
  const share = weight === null ? 0 : Math.abs(weight) / strongest;
  if (share < FAINT) return document.createTextNode(text);
  const mark = document.createElement("mark");
  mark.className = weight > 0 ? "toward" : "away";
  mark.style.setProperty("--weight", share.toFixed(3));
  mark.title = signed(weight);
  mark.textContent = text;
  return mark;
}

function list(element, entries) {
  const items = entries.map(([word, weight]) => {
    const item = document.createElement("li");
    const value = document.createElement("span");
    value.className = "weight";
    value.textContent = signed(weight);
    item.append(word, " ", value);
    return item;
  });
  if (!items.length) {
    const item = document.createElement("li");
    item.className = "none";
    item.textContent = "no word";
    items.push(item);
  }
  element.replaceChildren(...items);
}

const signed = (weight) => `${weight < 0 ? "−" : "+"}${Math.abs(weight).toFixed(2)}`;
