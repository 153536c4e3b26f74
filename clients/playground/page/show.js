// What both cards show alike: shares as text, how long an answer took, and trouble.

const SAID_AFTER = 700;
const KEPT = 20;
const PROTOCOLS = { grpc: "gRPC", http: "REST" };

export const byId = (id) => document.getElementById(id);

export function percent(share) {
  const value = share * 100;
  if (value > 0 && value < 0.1) return "<0.1 %";
  if (value > 99.9 && value < 100) return ">99.9 %";
  return `${value.toFixed(value >= 99.95 || value < 0.05 ? 0 : 1)} %`;
}

// Tells a screen reader only what stands still for a moment.
export function makeSaid(element) {
  let timer;
  return (text) => {
    clearTimeout(timer);
    timer = setTimeout(() => (element.textContent = text), SAID_AFTER);
  };
}

// Who answered, how fast, and how fast usually.
export function makeMeta(element) {
  let times = [];
  let asked = "";
  return (protocol, answer) => {
    if (answer === null) {
      element.textContent = "\u00a0";
      return;
    }
    if (asked !== protocol) times = [];
    asked = protocol;
    times = [...times, answer.milliseconds].slice(-KEPT);
    const parts = [`${PROTOCOLS[protocol]}, ${milliseconds(answer.milliseconds)}`];
    if (times.length > 2) parts.push(`median of the last ${times.length}: ${milliseconds(median(times))}`);
    if (answer.rows > 1) parts.push(`${answer.rows} rows in one batch`);
    if (answer.version !== null) parts.push(`version ${answer.version} answered`);
    element.textContent = parts.join(" · ");
  };
}

export function makeTrouble(element) {
  return (message) => {
    element.hidden = message === null;
    element.textContent = message ?? "";
  };
}

const milliseconds = (value) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;

function median(values) {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)];
}
