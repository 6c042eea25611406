// A row for each relation, at the threshold of the slider.

const showRelations = () => {
  const { relations } = head.figures.operating;
  const gate = head.figures.gate;
  const gated = Object.keys(gate).length > 0;
  const rows = Object.entries(relations).map(([name, at]) => [name, ...at[state.at]]).sort((one, other) => other[2] - one[2] || other[1] - one[1]);
  const titles = ["relation", "candidates", "kept", "labelled", "precision", "recall", ...(gated ? ["what is promised"] : [])];
  fill(byId("relations"), [
    make("thead", {}, make("tr", {}, titles.map((title) => make("th", { scope: "col" }, title)))),
    make("tbody", {}, rows.map(([name, candidates, kept, labelled, precision, recall]) => make("tr", {},
      make("td", {}, make("a", { href: `#${new URLSearchParams({ view: "images", relation: name })}` }, name)),
      make("td", {}, number(candidates)),
      make("td", {}, number(kept), make("span", { class: "share", "aria-hidden": "true" }, make("i", { style: { width: `${candidates ? (100 * kept) / candidates : 0}%` } }))),
      make("td", {}, number(labelled)),
      make("td", {}, labelled ? percent(precision) : "-"),
      make("td", {}, labelled ? percent(recall) : "-"),
      gated ? make("td", { class: "words" }, gate[name] ?? "") : null))),
  ]);
};
