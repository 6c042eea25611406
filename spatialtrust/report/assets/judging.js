// Judging: what is right or wrong, kept in the browser until it is exported.

const KEY = `spatialtrust-${head.key}`;
const sheet = head.sheet;
const column = (name) => sheet.columns.indexOf(name);
const sheetRow = new Map(sheet.rows.map((row, place) => [row[column("claim_id")], place]));
const WORDS = { 1: 1, true: 1, yes: 1, 0: 0, false: 0, no: 0 };

const stored = () => {
  try {
    return Object.entries(JSON.parse(localStorage.getItem(KEY) ?? "{}"));
  } catch {
    return [];
  }
};

const judgements = new Map(stored().map(([edge, label]) => [Number(edge), label]).filter(([edge, label]) => edge < edgeCount && (label === 0 || label === 1)));

// On the page of a sheet, edges stand in the sheet's order by image.
const sheetLabels = new Map();
if (!reporting) {
  const byImage = new Map();
  for (const row of sheet.rows) {
    const image = row[column("image")] ?? "";
    if (!byImage.has(image)) byImage.set(image, []);
    byImage.get(image).push(WORDS[row[column("label")].trim().toLowerCase()]);
  }
  let edge = 0;
  for (const labels of byImage.values()) for (const label of labels) { if (label !== undefined) sheetLabels.set(edge, label); edge += 1; }
}

const labelOf = (edge) => {
  if (judgements.has(edge)) return judgements.get(edge);
  if (!reporting) return sheetLabels.get(edge) ?? null;
  return edges.label[edge] === NO_LABEL ? null : edges.label[edge];
};

const keep = () => {
  try {
    localStorage.setItem(KEY, JSON.stringify(Object.fromEntries(judgements)));
  } catch {
    say("The browser does not keep what you judge; export it before you close the page.");
  }
};

// Whether an edge can be judged: both boxes are known, and the sheet may be added to.
const judgeable = (edge, content, place) => {
  if (content === null || content.edges.s[place] < 0 || content.edges.o[place] < 0) return false;
  return !(reporting && sheet.of_graphs && !sheetRow.has(claimId(content, shown.image, place)));
};

const judge = (edge, label, onward = true) => {
  const place = edge - firstEdge(shown.image);
  if (!judgeable(edge, shown.content, place)) { say("This edge cannot be judged."); return; }
  if (label === null) judgements.delete(edge);
  else judgements.set(edge, label);
  keep();
  say(label === null ? "Cleared." : label ? "Right." : "Wrong.");
  const row = byId("edge-list").querySelector(`[data-edge="${edge}"]`);
  if (row !== null) row.replaceWith(edgeRow(place));
  showJudged();
  showQuestion();
  if (onward && label !== null) stepEdge(1);
};

const judgeChosen = (label) => {
  if (state.view !== "images" || shown === null) return;
  if (state.edge < 0) stepEdge(1);
  else judge(state.edge, label);
};

const showJudged = () => {
  const told = reporting ? `${number(judgements.size)} judged here` : `${number(countLabelled())} of ${number(edgeCount)} judged`;
  byId("judged-count").textContent = judgements.size || !reporting ? told : "";
  byId("export").disabled = judgements.size === 0 && !sheet.rows.length;
};

const countLabelled = () => new Set([...judgements.keys(), ...sheetLabels.keys()]).size;

const mark = (side, words) => make("span", { class: `mark ${side}` }, `${side.toUpperCase()} ${words}`);

const showQuestion = () => {
  const { image, content } = shown;
  const place = state.edge - firstEdge(image);
  const chosen = content !== null && state.edge >= 0;
  const can = chosen && judgeable(state.edge, content, place);
  const label = chosen ? labelOf(state.edge) : null;
  for (const id of ["judge-right", "judge-wrong"]) byId(id).disabled = !can;
  byId("judge-right").setAttribute("aria-pressed", String(label === 1));
  byId("judge-wrong").setAttribute("aria-pressed", String(label === 0));
  byId("judge-undo").disabled = !chosen || !judgements.has(state.edge);
  if (!chosen) {
    fill(byId("question"), ["Choose an edge, in the list or with the key j, and say whether it is right."]);
    return;
  }
  const asked = [mark("a", endName(content, place, "s")), ` ${predicate(content, place)} `, mark("b", endName(content, place, "o"))];
  const why = content.edges.s[place] < 0 || content.edges.o[place] < 0 ? " One of the two has no box, so it cannot be judged." : " labels.csv is of whole images and this edge is not in it, so it cannot be judged.";
  fill(byId("question"), [...asked, can ? "?" : `.${why}`]);
};

const predicate = (content, place) => {
  const relation = relationOf(content, place);
  return head.predicates[relation] ?? (relation || content.edges.caption[place]);
};

const quoted = (cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);

// The sheet as it was, with what was judged; edges that are not in it come at its end, to fit.
const exported = async () => {
  const rows = sheet.rows.map((row) => [...row]);
  const judged = [...judgements.entries()].sort((one, other) => one[0] - other[0]);
  for (const [edge, label] of judged) {
    const image = imageOf(edge);
    const content = await contentOf(image);
    const place = edge - firstEdge(image);
    const id = claimId(content, image, place);
    if (sheetRow.has(id)) rows[sheetRow.get(id)][column("label")] = String(label);
    else if (reporting) rows.push(newRow(image, content, place, id, label));
  }
  return [sheet.columns, ...rows].map((row) => `${row.map(quoted).join(",")}\n`).join("");
};

const newRow = (image, content, place, id, label) => {
  const [subject, object] = [content.edges.s[place], content.edges.o[place]];
  const relation = head.relations[edges.relation[firstEdge(image) + place]];
  const [one, other] = [content.objects.phrase[subject], content.objects.phrase[object]];
  const known = {
    claim_id: id, image: images.id[image], caption: `The ${one} ${head.predicates[relation] ?? relation} the ${other}.`, label,
    purpose: "fit", subject: one, relation, object: other,
    subject_box: JSON.stringify(content.objects.box[subject]), object_box: JSON.stringify(content.objects.box[object]),
    width: images.w[image] ?? "", height: images.h[image] ?? "", picture: "",
  };
  return sheet.columns.map((name) => String(known[name] ?? ""));
};

const exportLabels = async () => {
  const content = await exported();
  const link = make("a", { href: URL.createObjectURL(new Blob([content], { type: "text/csv" })), download: "labels.csv" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  say("labels.csv is written. Put it into the run folder, then: spatialtrust fit RUN");
};
