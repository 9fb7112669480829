// The programs that draw a frame: one warp of the picture, with blended patches for mouth and eyes.

import { MAX_PATCHES } from "./weights.js";

export const VERTEX = `#version 300 es
in vec2 corner;
out vec2 at;
void main() {
  at = vec2(corner.x, -corner.y) * 0.5 + 0.5;
  gl_Position = vec4(corner, 0.0, 1.0);
}`;

export const FRAGMENT = `#version 300 es
precision highp float;
precision highp sampler2DArray;

in vec2 at;
out vec4 colour;

uniform sampler2D base, mouth, eyes;
uniform sampler2DArray grid;
uniform vec2 picture, cells, start, stride;
uniform float head[5];
uniform vec4 mouthBox, eyeBox;
uniform float mouthColumns, eyeColumns;
uniform int mouthPatches[${MAX_PATCHES}], eyePatches[${MAX_PATCHES}];
uniform float mouthShares[${MAX_PATCHES}], eyeShares[${MAX_PATCHES}];
uniform vec3 inner, outer;
uniform vec4 plain;

// Where a point of the frame comes from, in pixels of the picture (edges are whole numbers).
vec2 trace() {
  vec2 place = start + stride * (at * cells - 0.5) + texture(grid, vec3(at, 0.0)).rg + 0.5;
  for (int field = 0; field < 5; field++) {
    place += head[field] * texture(grid, vec3(at, float(field + 1))).rg;
  }
  return place;
}

vec3 behind(vec2 place) {
  float away = length(place / picture.x - vec2(0.52, 0.40));
  return mix(mix(inner, outer, clamp(away / 0.75, 0.0, 1.0)), plain.rgb, plain.a);
}

vec3 patchColour(sampler2D sheet, float columns, int number, vec2 place, vec2 size) {
  vec2 tile = vec2(mod(float(number), columns), floor(float(number) / columns));
  vec2 inside = clamp(place, vec2(0.5), size - 0.5);
  return texture(sheet, (tile * size + inside) / vec2(textureSize(sheet, 0))).rgb;
}

vec3 blend(sampler2D sheet, float columns, int patches[${MAX_PATCHES}], float shares[${MAX_PATCHES}], vec4 box, vec2 place) {
  vec3 sum = vec3(0.0);
  for (int index = 0; index < ${MAX_PATCHES}; index++) {
    if (shares[index] > 0.0) {
      sum += shares[index] * patchColour(sheet, columns, patches[index], place - box.xy, box.zw - box.xy);
    }
  }
  return sum;
}

bool within(vec4 box, vec2 place) {
  return all(greaterThanEqual(place, box.xy)) && all(lessThan(place, box.zw));
}

void main() {
  vec2 place = trace();
  if (within(mouthBox, place)) {
    colour = vec4(blend(mouth, mouthColumns, mouthPatches, mouthShares, mouthBox, place), 1.0);
  } else if (within(eyeBox, place)) {
    colour = vec4(blend(eyes, eyeColumns, eyePatches, eyeShares, eyeBox, place), 1.0);
  } else {
    vec4 person = texture(base, place / picture);
    // Compression leaves colour in transparent pixels; none can be brighter than its alpha.
    colour = vec4(min(person.rgb, person.a) + behind(place) * (1.0 - person.a), 1.0);
  }
}`;
