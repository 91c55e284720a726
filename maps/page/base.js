// Shared by every part of the page. Text from a source reaches the page only through textContent,
// so it is never read as markup.
const padfinder = {
  thin: 1,

  read(id) {
    return JSON.parse(document.getElementById(id).textContent);
  },

  // Create an element with a class, a text and children.
  el(tag, name, text, children) {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (text !== undefined && text !== null) made.textContent = text;
    for (const child of children || []) if (child) made.append(child);
    return made;
  },

  // Return the value of an encoded column at a row; null if unknown.
  at(column, row) {
    const place = column.i[row];
    return place < 0 ? null : column.v[place];
  },

  // Return packed shapes (see maps/pack.py) as GeoJSON features; `i` is the number of a feature.
  unpack(pack, more) {
    const scale = 10 ** pack.digits;
    let k = 0, x = 0, y = 0, line = 0, polygon = 0;
    const point = () => {
      x += pack.xy[k++];
      y += pack.xy[k++];
      return [x / scale, y / scale];
    };
    const run = () => {
      const made = [];
      for (let n = pack.size[line++]; n > 0; n--) made.push(point());
      return made;
    };
    const rings = () => {
      const made = [];
      for (let n = pack.rings[polygon++]; n > 0; n--) made.push(run());
      return made;
    };
    const [one, type] = { point: [() => run()[0], "MultiPoint"], line: [run, "MultiLineString"],
      polygon: [rings, "MultiPolygon"] }[pack.kind];
    const features = [];
    pack.parts.forEach((count, i) => {
      if (!count) return;
      const coordinates = [];
      for (let n = count; n > 0; n--) coordinates.push(one());
      const lone = pack.kind === "point" && count === 1;
      features.push({ type: "Feature", properties: { i, ...more }, geometry:
        lone ? { type: "Point", coordinates: coordinates[0] } : { type, coordinates } });
    });
    return { type: "FeatureCollection", features };
  },

  // Sort the layer switches from the top of the map down.
  topFirst(a, b) {
    const depth = (layer) => layer.options.order ?? Infinity;
    return depth(a) === depth(b) ? 0 : depth(b) - depth(a);
  },

  // Style a site: filled by its score, outlined by its verdict.
  siteLook(feature) {
    const { data, at } = padfinder;
    const i = feature.properties.i;
    const line = data.outline[at(data.verdict, i)];
    return { color: line.color, weight: line.width * padfinder.thin, dashArray: line.dash || null, opacity: 1,
      fillColor: at(data.fill, i), fillOpacity: line.fill_opacity };
  },

  // Draw texts along lines ([text, latitude, longitude, turn]). Each text is an element, so only
  // those in view and only at close zoom are drawn, none while `hidden()` is true, and none within
  // `apart` pixels of another. Returns the function that redraws them.
  alongLines(map, texts, { from, name, hidden, apart = 0, look = () => true }) {
    const group = L.layerGroup().addTo(map);
    const draw = () => {
      group.clearLayers();
      if (map.getZoom() < from || hidden()) return;
      const view = map.getBounds().pad(0.05);
      const placed = [];
      texts.forEach(([said, lat, lng, turn, ...more]) => {
        if (!view.contains([lat, lng])) return;
        const text = padfinder.el("span", "", said);
        text.style.transform = "rotate(" + turn + "deg)";
        if (!look(text, ...more)) return;
        const at = map.latLngToLayerPoint([lat, lng]);
        if (apart && placed.some((other) => other.distanceTo(at) < apart)) return;
        placed.push(at);
        const icon = L.divIcon({ className: name, iconSize: [0, 0], html: text });
        L.marker([lat, lng], { icon, pane: "names", interactive: false, keyboard: false })
          .addTo(group);
      });
    };
    map.on("moveend", draw);
    draw();
    return draw;
  },

  streetNames(map, streets, hidden) {
    return padfinder.alongLines(map, streets, { from: 16.5, name: "pf-street", hidden });
  },

  // The numbers of the noise levels that the reader has hidden.
  hidden: new Set(),

  lineLook(feature) {
    const { data, hidden } = padfinder;
    const i = feature.properties.i;
    return { color: data.levels[i].color, weight: data.look.line_width,
      opacity: hidden.has(i) ? 0 : 1, fill: false };
  },

  bandLook(feature) {
    const { data, hidden } = padfinder;
    const i = feature.properties.i;
    return { stroke: false, fill: true, fillColor: data.levels[i].color,
      fillOpacity: hidden.has(i) ? 0 : data.look.band_opacity };
  },

  // Bind a tooltip of plain lines to each feature of a layer.
  tip(id) {
    return (feature, layer) => {
      const tips = padfinder.shapes[id].tips;
      if (!tips) return;
      layer.bindTooltip(() => {
        const lines = padfinder.at(tips, feature.properties.i) || "";
        return padfinder.el("div", "pf-tip", null,
          lines.split("\n").map((line) => padfinder.el("div", "", line)));
      }, { sticky: true, opacity: 1 });
    };
  },
};
