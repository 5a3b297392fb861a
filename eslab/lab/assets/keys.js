// Keeps the keys that are pressed in a desk from JupyterLab, which takes them for commands: `d d` deletes a cell.
const stop = (event) => {
  const saves = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "s";
  if (!saves) event.stopPropagation();
};
// A key passes here on its way down, before it can bubble up from the desk, so a desk that was drawn after this script
// ran, or drawn again, stops its first key too. Adding the same listener twice has no effect.
const guard = ({ target }) => target.closest?.(".eslab-desk")?.addEventListener("keydown", stop);

export default {
  initialize() {
    if (window.eslabKeys) return;
    window.eslabKeys = true;
    document.addEventListener("keydown", guard, true);
  },
};
