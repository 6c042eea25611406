// The image with its boxes; subject and object of the chosen edge are marked A and B.

const TAGS = 40;
let loaded = { image: -1, element: null, gone: "" };

const pictureOf = (image) => {
  if (loaded.image === image) return loaded;
  const source = sourceOf(image);
  const found = { image, element: null, gone: "", size: null };
  loaded = found;
  if (!source) {
    found.gone = "The image is not in this page.";
    return found;
  }
  found.element = make("img", { alt: `Image ${images.id[image]}`, decoding: "async" });
  found.element.addEventListener("error", () => {
    found.element = null;
    found.gone = `The image cannot be shown: ${head.embedded ? images.id[image] : source}`;
    if (loaded === found) showPicture();
  });
  found.element.addEventListener("load", () => {
    if (images.w[image] === null && loaded === found) {
      found.size = [found.element.naturalWidth, found.element.naturalHeight];
      showPicture();
    }
  });
  found.element.src = source;
  return found;
};

const centre = (box) => [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];

const extent = (objects) => {
  const most = (place) => Math.max(1, ...objects.box.slice(0, 5000).map((box) => box[place]).filter(Number.isFinite));
  return [most(2), most(3)];
};

const showPicture = () => {
  const { image, content } = shown;
  const objects = content === null ? { box: [], name: [] } : content.objects;
  const held = pictureOf(image);
  const [width, height] = images.w[image] !== null ? [images.w[image], images.h[image]] : held.size ?? extent(objects);
  const place = state.edge - firstEdge(image);
  const ends = content !== null && state.edge >= 0 ? [content.edges.s[place], content.edges.o[place]] : [-1, -1];
  const order = objects.box.map((_, number) => number);
  if (ends[0] >= 0 || ends[1] >= 0) order.sort((one, other) => ends.includes(one) - ends.includes(other));
  const boxes = [];
  const tags = [];
  const quiet = !reporting && state.edge >= 0;
  for (const number of order) {
    const box = objects.box[number];
    const mark = number === ends[0] ? "a" : number === ends[1] ? "b" : "";
    if (!box.every(Number.isFinite) || (quiet && !mark)) continue;
    boxes.push(draw("rect", { class: mark, x: box[0], y: box[1], width: Math.max(box[2] - box[0], 0), height: Math.max(box[3] - box[1], 0) },
      draw("title", {}, objects.name[number])));
    if (mark || (tags.length < TAGS && objects.box.length <= TAGS)) {
      const inside = box[1] / height < 0.06;
      tags.push(make("span", { class: `tag ${mark} ${inside ? "inside" : ""}`, style: {
        left: `${Math.min(Math.max((100 * box[0]) / width, 0), 88)}%`, top: `${Math.min(Math.max((100 * box[1]) / height, 0), 96)}%` } },
      mark ? `${mark.toUpperCase()} ${objects.name[number]}` : objects.name[number]));
    }
  }
  if (ends[0] >= 0 && ends[1] >= 0) {
    const [from, to] = ends.map((number) => centre(objects.box[number]));
    boxes.push(draw("line", { x1: from[0], y1: from[1], x2: to[0], y2: to[1] }), draw("circle", { cx: to[0], cy: to[1], r: Math.max(width, height) / 110, fill: "#ff7a2e" }));
  }
  const named = `${number(objects.box.length)} boxes on ${images.id[image]}`;
  fill(byId("picture"), [make("div", { class: "stage", style: { aspectRatio: `${width} / ${height}`, maxWidth: `calc(80vh * ${width / height})` } }, held.element,
    draw("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": named }, boxes), tags,
    held.gone ? make("p", { class: "gone" }, held.gone) : null)]);
};
