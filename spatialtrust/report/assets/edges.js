// The edges of the image, each with its sentence, its probability, and two buttons.

const LISTED = 300;
let most = LISTED;

const ordered = () => {
  const { image, content } = shown;
  const first = firstEdge(image);
  const found = [];
  for (let edge = first; edge < endEdge(image); edge += 1) if (matches[edge] || edge === state.edge) found.push(edge - first);
  if (!reporting || content === null || state.hide) return found; // an order by trust would tell
  const rank = [0, 1, 3, 2]; // kept, corrected, cut, left out
  const p = (place) => (edges.p[first + place] === UNKNOWN ? -1 : edges.p[first + place]);
  return found.sort((one, other) => rank[edges.kind[first + one]] - rank[edges.kind[first + other]] || p(other) - p(one) || one - other);
};

const endName = (content, place, side) => {
  const number = content.edges[side][place];
  return number >= 0 ? content.objects.name[number] : reporting ? content.edges[`${side}n`][place] : "";
};

const relationOf = (content, place) =>
  reporting ? head.relations[edges.relation[firstEdge(shown.image) + place]] : content.edges.relation[place];

const edgeRow = (place) => {
  const { image, content } = shown;
  const edge = firstEdge(image) + place;
  const label = labelOf(edge);
  const words = reporting ? `${endName(content, place, "s")} ${relationOf(content, place)} ${endName(content, place, "o")}` : content.edges.caption[place];
  const p = reporting ? (edges.p[edge] === UNKNOWN ? "P unknown" : `P ${(edges.p[edge] / SCALE).toFixed(3)}`) : "";
  const kind = reporting ? head.kinds[edges.kind[edge]] : "";
  const can = judgeable(edge, content, place);
  return make("li", { class: edge === state.edge ? "chosen" : "", "data-edge": edge },
    make("button", { type: "button", class: "pick", "aria-current": edge === state.edge ? "true" : null, onclick: () => chooseEdge(edge) },
      kind ? make("span", { class: `kind verdict ${kind.replace(" ", "-")}` }, kind) : null,
      make("strong", {}, words), p ? make("span", { class: "verdict p" }, ` ${p}`) : null,
      label === null ? null : make("span", { class: `known ${label ? "right" : "wrong"}` }, label ? "labelled right" : "labelled wrong"),
      reporting && content.edges.meaning[place] === "in the picture" ? make("span", { class: "verdict" }, " (in the picture)") : null,
      reporting ? make("span", { class: "why verdict" }, content.edges.why[place]) : null),
    make("button", { type: "button", class: "small right", "aria-pressed": label === 1 ? "true" : "false", "aria-label": `Right: ${words}`, disabled: !can, onclick: () => judge(edge, 1, false) }, "right"),
    make("button", { type: "button", class: "small wrong", "aria-pressed": label === 0 ? "true" : "false", "aria-label": `Wrong: ${words}`, disabled: !can, onclick: () => judge(edge, 0, false) }, "wrong"));
};

const showEdges = () => {
  const { content } = shown;
  shown.order = content === null ? [] : ordered();
  if (!reporting && state.edge < 0 && shown.order.length) state.edge = firstEdge(shown.image) + shown.order[0];
  const rows = shown.order.slice(0, most).map(edgeRow);
  if (!rows.length) rows.push(make("li", { class: "empty" }, content === null ? "This image has no graph." : "No edge of this image matches."));
  if (shown.order.length > most) {
    rows.push(make("li", {}, make("button", { type: "button", class: "pick", onclick: () => { most += LISTED; showEdges(); } }, `show more (${number(shown.order.length - most)})`)));
  }
  fill(byId("edge-list"), rows);
  showChosen();
};

const showChosen = () => {
  showPicture();
  showDiagram();
  showQuestion();
};

const chooseEdge = (edge) => {
  const image = imageOf(edge);
  if (image !== state.image || shown === null || shown.image !== image || shown.content === null) return;
  const before = byId("edge-list").querySelector(".chosen");
  update({ edge, wanted: claimId(shown.content, image, edge - firstEdge(image)) });
  const after = byId("edge-list").querySelector(`[data-edge="${edge}"]`);
  for (const [row, chosen] of [[before, false], [after, true]]) {
    if (row === null) continue;
    row.classList.toggle("chosen", chosen);
    const pick = row.querySelector(".pick");
    if (chosen) pick.setAttribute("aria-current", "true");
    else pick.removeAttribute("aria-current");
  }
  if (after !== null) after.scrollIntoView({ block: "nearest" });
  showChosen();
};

// The next edge in the order of the list; behind the last one, the next image's first.
const stepEdge = async (step) => {
  if (shown === null) return;
  const first = firstEdge(shown.image);
  const place = shown.order.indexOf(state.edge - first);
  const next = state.edge < 0 ? (step > 0 ? 0 : shown.order.length - 1) : place + step;
  if (next >= 0 && next < shown.order.length) {
    if (next >= most) { most += LISTED; showEdges(); }
    chooseEdge(first + shown.order[next]);
    return;
  }
  let at = listed.indexOf(shown.image) + step;
  while (at >= 0 && at < listed.length && perImage[listed[at]] === 0) at += step;
  if (at < 0 || at >= listed.length) { say("No further edge."); return; }
  openImage(listed[at]);
  await settled();
  if (shown.order.length) chooseEdge(firstEdge(shown.image) + shown.order[step > 0 ? 0 : shown.order.length - 1]);
};
