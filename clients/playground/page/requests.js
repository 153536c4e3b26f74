// A request as code: curl and Python in two tabs, and a button that copies what is shown.

export function makeRequest(details) {
  const template = document.getElementById("code");
  details.append(template.content.cloneNode(true));
  const tabs = [...details.querySelectorAll("[role=tab]")];
  const panel = details.querySelector("pre");
  const shown = details.querySelector("code");
  const said = details.querySelector("[role=status]");
  const copy = details.querySelector(".copy");
  let code = { curl: "", python: "" };
  let chosen = "curl";

  panel.id = `${details.id}-code`;
  for (const tab of tabs) {
    tab.id = `${details.id}-${tab.dataset.code}`;
    tab.setAttribute("aria-controls", panel.id);
    tab.addEventListener("click", () => choose(tab.dataset.code));
    tab.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
      choose(chosen === "curl" ? "python" : "curl");
      tabs.find((other) => other.dataset.code === chosen).focus();
    });
  }
  copy.addEventListener("click", () => toClipboard());

  function choose(name) {
    chosen = name;
    for (const tab of tabs) {
      const selected = tab.dataset.code === name;
      tab.setAttribute("aria-selected", String(selected));
      tab.tabIndex = selected ? 0 : -1;
      if (selected) panel.setAttribute("aria-labelledby", tab.id);
    }
    render();
  }

  function render() {
    shown.textContent = code[chosen];
    copy.textContent = "Copy";
    said.textContent = "";
  }

  async function toClipboard() {
    try {
      await navigator.clipboard.writeText(code[chosen]);
      copy.textContent = said.textContent = "Copied";
    } catch {
      // Without https a browser gives no clipboard to other machines' pages: the keyboard copies what is marked.
      getSelection().selectAllChildren(shown);
      copy.textContent = said.textContent = "Marked: copy with the keyboard";
    }
  }

  choose(chosen);
  return (next) => {
    details.hidden = next === null;
    code = next ?? { curl: "", python: "" };
    render();
  };
}
