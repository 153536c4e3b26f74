// Questions to the playground's own server. What goes wrong is one line for a person.

export class Trouble extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

// Of the answers that are errors, those that say that the model server is away.
const AWAY = [503, 504];
const GONE = "The playground does not answer. Is `kedge playground` still running?";
const LATER = "No answer from the model server. This is asked again as soon as it is back.";

export const get = (path) => ask(path, { method: "GET" });

export const post = (path, document) =>
  ask(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(document),
  });

async function ask(path, options) {
  let response, document;
  try {
    response = await fetch(path, options);
    document = await response.json();
  } catch {
    throw new Trouble(GONE);
  }
  if (!response.ok) throw new Trouble(sentence(document.error ?? `HTTP ${response.status}`), response.status);
  return document;
}

function sentence(text) {
  const line = text.replace(/^[a-z]+(?= )/, (word) => word.charAt(0).toUpperCase() + word.slice(1));
  return /[.?!]$/.test(line) ? line : `${line}.`;
}

// Asks one question at a time. What comes meanwhile waits, and of what waits only the newest is asked: the
// answer is that of the last input, and a slow server is not flooded.
export function newestOnly(question, { answered, failed, busy }) {
  let running = false;
  let waiting = null;
  let generation = 0;

  async function run() {
    running = true;
    busy(true);
    try {
      while (waiting !== null) await next();
    } finally {
      running = false;
      busy(false);
    }
  }

  async function next() {
    const [input, asked] = [waiting, generation];
    waiting = null;
    try {
      const answer = await question(input);
      if (asked === generation) answered(answer);
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
      if (asked === generation) failed(AWAY.includes(error.status) ? LATER : error.message);
    }
  }

  return {
    ask(input) {
      waiting = input;
      if (!running) run();
    },
    // Forget what is asked: the answer is not wanted any more.
    forget() {
      waiting = null;
      generation += 1;
    },
  };
}
