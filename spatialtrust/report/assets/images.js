// The list of images: only the rows in sight are there.

const ROW = 30;

const showList = () => {
  const list = byId("list");
  byId("list-space").style.height = `${listed.length * ROW}px`;
  const first = Math.max(Math.floor(list.scrollTop / ROW) - 5, 0);
  const last = Math.min(first + Math.ceil(list.clientHeight / ROW) + 10, listed.length);
  byId("list-rows").style.top = `${first * ROW}px`;
  const rows = [];
  for (let place = first; place < last; place += 1) {
    const image = listed[place];
    rows.push(make("button", { type: "button", "aria-current": image === state.image ? "true" : null, title: images.id[image],
      onclick: () => openImage(image) },
    make("span", { class: "name" }, make("bdi", {}, images.id[image])),
    make("span", { class: "count" }, images.status[image] ? "!" : number(perImage[image]))));
  }
  fill(byId("list-rows"), rows.length ? rows : [make("p", { class: "quiet" }, imageCount ? "No image matches." : "This run has no images.")]);
};

const scrollToImage = () => {
  const list = byId("list");
  const top = listed.indexOf(state.image) * ROW;
  if (top < 0) return;
  if (top < list.scrollTop || top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = Math.max(top - list.clientHeight / 2, 0);
};

const openImage = (image) => update({ image, edge: -1, wanted: "" });

const stepImage = (step) => {
  if (!listed.length) return;
  const place = listed.indexOf(state.image);
  const next = place < 0 ? 0 : Math.min(Math.max(place + step, 0), listed.length - 1);
  openImage(listed[next]);
};

let shown = null; // what of the image is drawn: { image, content, order }

// Loads what is looked at; a later call wins over an earlier one that is still unpacking.
const showImage = async () => {
  if (!imageCount) {
    byId("image-name").textContent = "No images";
    return;
  }
  const image = state.image;
  let content;
  try {
    content = await contentOf(image);
  } catch (problem) {
    fail(`The page's data cannot be unpacked (${problem}); make it again with spatialtrust report.`);
    return;
  }
  if (image !== state.image) return;
  shown = { image, content, order: [] };
  byId("image-name").textContent = images.id[image];
  const status = byId("image-status");
  status.textContent = images.status[image];
  status.hidden = !images.status[image];
  if (state.wanted && content !== null) {
    const place = content.edges.id.findIndex((_, at) => claimId(content, image, at) === state.wanted);
    state.edge = place < 0 ? -1 : firstEdge(image) + place;
  }
  showEdges();
  scrollToImage();
  showList();
};
