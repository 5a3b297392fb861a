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
    keepFocus();
  };

  // A part that is drawn again, or disabled, would hand the focus to the notebook, and with it the next key.
  let focused = null;
  const keepFocus = () => {
    if (!focused || (focused.isConnected && !focused.disabled)) return;
    const { tagName, textContent } = focused;
    focused = null;
    if (!document.activeElement?.contains(desk)) return;
    const twins = [...desk.querySelectorAll(tagName)].filter((it) => !it.disabled && it.textContent === textContent);
    (twins[0] ?? desk).focus({ preventScroll: true });
  };
  desk.tabIndex = -1;
  desk.addEventListener("focusin", ({ target }) => (focused = target === desk ? null : target));
  desk.addEventListener("focusout", ({ relatedTarget }) => {
    if (relatedTarget && !relatedTarget.contains(desk)) focused = null;
  });

  desk.addEventListener("keydown", (event) => {
    const saves = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "s";
    if (!saves) event.stopPropagation();
  });
  new MutationObserver(tidy).observe(desk, {
    subtree: true, childList: true, characterData: true, attributes: true,
    attributeFilter: ["aria-valuetext", "title", "disabled"],
  });
  tidy();
})(this.closest(".eslab-desk"));
