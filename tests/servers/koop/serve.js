// Serve GeoJSON files with Esri's own FeatureServer code:
// node serve.js PORT NAME=FILE ... -> /NAME/FeatureServer/0
const fs = require('node:fs')
const express = require('express')
const FeatureServer = require('@koopjs/featureserver')

const [port, ...files] = process.argv.slice(2)
const layers = {}
for (const one of files) {
  const [name, file] = one.split('=')
  layers[name] = JSON.parse(fs.readFileSync(file, 'utf8'))
}

function find (request, response, next) {
  const layer = layers[request.params.name]
  if (layer === undefined) return response.status(404).send('no such layer')
  // Koop changes what it is given.
  request.layer = { ...layer, metadata: { ...layer.metadata }, crs: layer.crs }
  return next()
}

const app = express()
app.get('/:name/FeatureServer', find, (request, response) => {
  FeatureServer.serverInfo(request, response, request.layer)
})
app.get('/:name/FeatureServer/:layer', find, (request, response) => {
  FeatureServer.layerInfo(request, response, request.layer)
})
app.get('/:name/FeatureServer/:layer/query', find, (request, response) => {
  FeatureServer.query(request, response, request.layer)
})
app.listen(Number(port), '127.0.0.1')
