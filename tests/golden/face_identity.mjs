// The descriptor that face-api itself gives for a crop: node face_identity.mjs PACKAGE < crop (150×150 RGB bytes)
import fs from "node:fs";
import path from "node:path";

// The package's module for browsers brings the CPU backend of TensorFlow.js; it must not take this for Node.js.
Object.defineProperty(process, "versions", { value: {} });
globalThis.window = globalThis;
globalThis.document = { createElement: () => ({ getContext: () => null }) };

const folder = path.resolve(process.argv[2]);
const { tf, FaceRecognitionNet, NetInput } = await import(path.join(folder, "dist/face-api.esm.js"));
await tf.setBackend("cpu");
await tf.ready();
const name = path.join(folder, "model/face_recognition_model");
const groups = JSON.parse(fs.readFileSync(`${name}-weights_manifest.json`));
const bytes = Uint8Array.from(fs.readFileSync(`${name}.bin`)).buffer;
const network = new FaceRecognitionNet();
network.loadFromWeightMap(tf.io.decodeWeights(bytes, groups.flatMap((group) => group.weights)));
const crop = tf.tensor4d(Array.from(fs.readFileSync(0)), [1, 150, 150, 3], "float32");
console.log(JSON.stringify(Array.from(network.forwardInput(new NetInput([crop])).dataSync())));
