// The scene graph beside the picture: things where they stand, arrows for what is kept.

const NODES = 40;
const ARROWS = 80;
const NAMED = 30; // of more arrows only the chosen one has its name beside it

const kindClass = (edge) => head.kinds[edges.kind[edge]].replace(" ", "-");

const drawnEdges = () => {
  const { image, content, order } = shown;
  const first = firstEdge(image);
  const linked = order.filter((place) => content.edges.s[place] >= 0 && content.edges.o[place] >= 0);
  const sure = linked.filter((place) => edges.kind[first + place] < 2);
  const found = (sure.length ? sure : []).slice(0, ARROWS);
  const chosen = state.edge - first;
  if (state.edge >= 0 && linked.includes(chosen) && !found.includes(chosen)) found.push(chosen);
  return [found, sure.length];
};

// Things stand as on the picture, spread over the space and pushed apart until names can be read.
const placed = (numbers, objects, size) => {
  const [DW, DH] = size;
  const centres = numbers.map((number) => centre(objects.box[number]));
  const spread = (axis, from, to) => {
    const values = centres.map((spot) => spot[axis]);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return (value) => (high > low ? from + ((value - low) / (high - low)) * (to - from) : (from + to) / 2);
  };
  const [toX, toY] = [spread(0, 70, DW - 70), spread(1, 26, DH - 26)];
  const spots = numbers.map((number, place) => {
    const half = Math.min(objects.name[number].length * 3.6 + 10, 90);
    return { number, half, x: toX(centres[place][0]), y: toY(centres[place][1]) };
  });
  for (let round = 0; round < 60; round += 1) {
    for (let one = 0; one < spots.length; one += 1) {
      for (let other = one + 1; other < spots.length; other += 1) {
        const [a, b] = [spots[one], spots[other]];
        const dx = b.x - a.x || 0.1 * (other - one);
        const dy = b.y - a.y || 0.1;
        const overX = a.half + b.half + 16 - Math.abs(dx);
        const overY = 44 - Math.abs(dy);
        if (overX <= 0 || overY <= 0) continue;
        if (overX < overY * 1.5) {
          a.x -= Math.sign(dx) * overX * 0.25;
          b.x += Math.sign(dx) * overX * 0.25;
        } else {
          a.y -= Math.sign(dy) * overY * 0.25;
          b.y += Math.sign(dy) * overY * 0.25;
        }
      }
    }
    for (const spot of spots) {
      spot.x = Math.min(Math.max(spot.x, spot.half + 4), DW - spot.half - 4);
      spot.y = Math.min(Math.max(spot.y, 16), DH - 16);
    }
  }
  return new Map(spots.map((spot) => [spot.number, spot]));
};

// Where a line from one box's middle leaves it.
const border = (spot, x, y) => {
  const dx = x - spot.x;
  const dy = y - spot.y;
  const reach = Math.min((spot.half + 3) / Math.max(Math.abs(dx), 0.01), 15 / Math.max(Math.abs(dy), 0.01), 1);
  return [spot.x + dx * reach, spot.y + dy * reach];
};

const arrow = (from, to, turn, place, content, named) => {
  const first = firstEdge(shown.image);
  const edge = first + place;
  const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
  const bend = 14 + 22 * turn;
  const middle = [(from.x + to.x) / 2 - ((to.y - from.y) / length) * bend, (from.y + to.y) / 2 + ((to.x - from.x) / length) * bend];
  const start = border(from, ...middle);
  const end = border(to, ...middle);
  const angle = Math.atan2(end[1] - middle[1], end[0] - middle[0]);
  const corner = (turned) => `${(end[0] - 10 * Math.cos(angle + turned)).toFixed(1)},${(end[1] - 10 * Math.sin(angle + turned)).toFixed(1)}`;
  const kind = kindClass(edge);
  const t = 0.5 + 0.16 * (((turn + 1) % 3) - 1); // names of arrows between the same two do not meet
  const along = (axis) => (1 - t) ** 2 * start[axis] + 2 * t * (1 - t) * middle[axis] + t ** 2 * end[axis];
  const relation = head.relations[edges.relation[edge]];
  const words = `${content.objects.name[content.edges.s[place]]} ${relation} ${content.objects.name[content.edges.o[place]]}`;
  const choose = () => chooseEdge(edge);
  return draw("g", { onclick: choose },
    draw("path", { class: `arrow ${kind} ${edge === state.edge ? "chosen" : ""}`, d: `M${start[0].toFixed(1)} ${start[1].toFixed(1)}Q${middle[0].toFixed(1)} ${middle[1].toFixed(1)} ${end[0].toFixed(1)} ${end[1].toFixed(1)}` }, draw("title", {}, words)),
    draw("polygon", { class: `tip ${kind}`, points: `${end[0].toFixed(1)},${end[1].toFixed(1)} ${corner(0.4)} ${corner(-0.4)}` }),
    named && draw("text", { class: "edge-name", x: along(0), y: along(1) + 4, "text-anchor": "middle" }, relation));
};

const showDiagram = () => {
  if (!reporting) return;
  const { image, content } = shown;
  const [among, total] = content === null ? [[], 0] : drawnEdges();
  if (!among.length) {
    byId("diagram").parentElement.classList.remove("crowded");
    fill(byId("diagram"), [make("p", { class: "empty" }, content === null ? "This image has no graph." : "No edge is kept among those that match.")]);
    return;
  }
  const { objects } = content;
  const ends = among.flatMap((place) => [content.edges.s[place], content.edges.o[place]]);
  const chosen = state.edge - firstEdge(image);
  const marked = state.edge >= 0 ? [content.edges.s[chosen], content.edges.o[chosen]] : [-1, -1];
  const numbers = [...new Set([...marked.filter((number) => number >= 0), ...ends])].slice(0, NODES);
  const size = numbers.length > 12 ? [900, 620] : numbers.length > 5 ? [460, 400] : [340, 280];
  byId("diagram").parentElement.classList.toggle("crowded", numbers.length > 12);
  const spots = placed(numbers, objects, size);
  const turns = new Map();
  const visible = among.filter((place) => spots.has(content.edges.s[place]) && spots.has(content.edges.o[place]));
  const arrows = visible.map((place) => {
    const pair = [content.edges.s[place], content.edges.o[place]].sort().join("-");
    turns.set(pair, (turns.get(pair) ?? -1) + 1);
    return arrow(spots.get(content.edges.s[place]), spots.get(content.edges.o[place]), turns.get(pair), place, content, visible.length <= NAMED || firstEdge(image) + place === state.edge);
  });
  const nodes = [...spots.values()].map((spot) => {
    const mark = spot.number === marked[0] ? "a" : spot.number === marked[1] ? "b" : "";
    const name = objects.name[spot.number];
    return draw("g", { class: `node ${mark}` },
      draw("rect", { x: spot.x - spot.half, y: spot.y - 12, width: 2 * spot.half, height: 24, rx: 12 }),
      draw("text", { x: spot.x, y: spot.y + 4, "text-anchor": "middle" }, name.length > 24 ? `${name.slice(0, 23)}...` : name, draw("title", {}, name)));
  });
  const more = total > visible.length ? make("p", { class: "more" }, `${visible.length} of ${total} kept edges are drawn; the list has all.`) : null;
  fill(byId("diagram"), [draw("svg", { viewBox: `0 0 ${size[0]} ${size[1]}`, role: "img", "aria-label": `Scene graph: ${nodes.length} objects, ${visible.length} edges` }, arrows, nodes), more]);
};
