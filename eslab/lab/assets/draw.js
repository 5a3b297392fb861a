// Draws the charts that wait in window.eslabCharts, then every one that is pushed later, in any order of cells.
(() => {
  const lab = document.body.dataset.jpThemeLight;
  const dark = lab ? lab === "false" : matchMedia("(prefers-color-scheme: dark)").matches;
  const options = { renderer: "svg", actions: false, tooltip: { theme: dark ? "dark" : "light" } };
  const draw = async ({ place, spec }) => {
    const live = document.createElement("div");
    live.style.cssText = "max-width:100%;overflow-x:auto";
    place.append(live);
    await window.vegaEmbed(live, spec, options);
    place.querySelector("img").hidden = true;
  };
  const waiting = window.eslabCharts ?? [];
  window.eslabCharts = { push: draw };
  waiting.forEach(draw);
})();
