/** What `python -m spaces.build_live` takes from the Python package, so that no constant has two homes. */

export interface Emotion {
  name: string;
  color: string;
}

/** A figure of the results store, as a share, with its interval and the number of images it was measured on. */
export interface Figure {
  value: number;
  low: number;
  high: number;
  images: number;
  classes: number;
}

export type PartName = "brows" | "eyes" | "nose" | "mouth";

export interface Facts {
  model: string;
  version: string;
  emotions: Emotion[];
  noClearEmotion: string;
  otherColor: string;
  threshold: number;
  maxPixels: number;
  minSide: number;
  network: { imageSize: number; mean: number[]; std: number[]; flip: boolean };
  crop: {
    margin: number; lift: number; least: number; boxPerEyes: number; minSide: number; maxSide: number; replicate: boolean;
  };
  detector: {
    side: number; minScore: number; tileScales: number[]; minTile: number; minSize: number;
    sure: number; present: number; likely: number; wider: number; leastFilling: number; maxIou: number; maxInside: number;
  };
  onet: { side: number; margin: number; lift: number };
  mesh: { side: number; margin: number; to68: [number, number][]; groups: Record<string, [number, number]> };
  tracker: {
    searchEvery: number; keep: number; minGiou: number; rigid: [number, number];
  };
  smoothing: { timeConstant: number; hold: number };
  regions: {
    browLift: number; eyeMargin: number; noseMargin: number; mouthMargin: number; covered: PartName[]; edge: number;
  };
  figures: {
    accuracy: Record<string, Figure>; recall: Record<string, Figure>; corrupted: Record<string, Figure[]>; corruptedOf: string;
  };
}
