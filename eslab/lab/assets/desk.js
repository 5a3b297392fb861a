// Runs in a desk, as an event handler of one of its elements. Keeps the keys that are pressed in the desk from JupyterLab,
// which takes them for commands (`d d` deletes a cell), and lets a screen reader say what a slider shows: "12:20", where
// its own value is the position 5.
((desk) => {
  if (!desk) return;

  const put = (element, name, value) => {
    // Only a change is written: the observer below would see its own writing for ever.
    if (value && element.getAttribute(name) !== value) element.setAttribute(name, value);
  };

  const tidy = () => {
    for (const handle of desk.querySelectorAll(".noUi-handle")) {
      const slider = handle.closest(".widget-slider");
      put(handle, "aria-valuetext", slider?.querySelector(".widget-readout")?.textContent);
      put(handle, "aria-label", slider?.querySelector(".widget-label")?.textContent);
    }
    // ipywidgets writes it where a label has no tooltip, and a mouse would show it.
    for (const label of desk.querySelectorAll('[title="null"]')) label.removeAttribute("title");
  };

  desk.addEventListener("keydown", (event) => {
    const saves = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "s";
    if (!saves) event.stopPropagation();
  });
  new MutationObserver(tidy).observe(desk, {
    subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ["aria-valuetext", "title"],
  });
  tidy();
})(this.closest(".eslab-desk"));
