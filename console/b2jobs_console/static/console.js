// Keeps an open page true: told that something has changed, it asks for itself again and puts
// the parts that may change in place. Without this script everything works, by reloading.
"use strict";

(() => {
  for (const form of document.querySelectorAll("form[data-confirm]")) ask(form);

  function ask(form) {
    form.addEventListener("submit", (event) => {
      if (!window.confirm(form.dataset.confirm)) event.preventDefault();
    });
  }

  if (!document.querySelector("[data-live]")) return;
  const button = document.getElementById("live");
  const KEY = "b2jobs-live";
  let source = null;
  let busy = false;
  let late = false;

  button.hidden = false;
  button.addEventListener("click", () => {
    localStorage.setItem(KEY, source ? "off" : "on");
    source ? stop() : start();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && late) refresh();
  });
  if (localStorage.getItem(KEY) === "off") stop();
  else start();

  function start() {
    source = new EventSource("/live");
    source.onmessage = refresh;
    button.setAttribute("aria-pressed", "true");
  }

  function stop() {
    if (source) source.close();
    source = null;
    button.setAttribute("aria-pressed", "false");
  }

  async function refresh() {
    late = document.hidden;
    if (busy || late) return;
    busy = true;
    try {
      const place = new URL(location.href);
      place.searchParams.delete("said");
      const answer = await fetch(place, { redirect: "error", cache: "no-store" });
      if (answer.ok) renew(new DOMParser().parseFromString(await answer.text(), "text/html"));
      else if (answer.status === 403) stop();
    } catch {
      // Away for a moment: the next message tries again.
    } finally {
      busy = false;
    }
  }

  function renew(fresh) {
    for (const part of document.querySelectorAll("[data-live]")) {
      const other = fresh.getElementById(part.id);
      if (!other || other.innerHTML === part.innerHTML || isInUse(part)) continue;
      const open = [...part.querySelectorAll("details[open]")].map((each) => each.id);
      part.replaceChildren(...other.childNodes);
      for (const id of open) {
        const again = id && document.getElementById(id);
        if (again) again.open = true;
      }
      for (const form of part.querySelectorAll("form[data-confirm]")) ask(form);
    }
  }

  // Nothing is taken from under the hands of whoever has the focus or a selection in it.
  function isInUse(part) {
    if (part.contains(document.activeElement)) return true;
    const selection = document.getSelection();
    return selection && !selection.isCollapsed && part.contains(selection.anchorNode);
  }
})();
