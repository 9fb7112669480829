// Draws poses on a canvas by WebGL2.

import type { Box, FaceAssets } from "./assets.js";
import type { Pose } from "./pose.js";
import { FRAGMENT, VERTEX } from "./shader.js";
import { MAX_PATCHES, type Weight, weighEyes, weighMouths } from "./weights.js";

const [BASE, MOUTH, EYES, GRID] = [0, 1, 2, 3] as const;
const GRID_LAYERS = 6;
/** The width in pixels beyond which the picture has no more detail. */
const MAX_WIDTH = 1080;

/** Draws a face in one context; a lost context needs a new painter. */
export class Painter {
  readonly #gl: WebGL2RenderingContext;
  readonly #assets: FaceAssets;
  readonly #places = new Map<string, WebGLUniformLocation | null>();
  readonly #program: WebGLProgram;

  constructor(gl: WebGL2RenderingContext, assets: FaceAssets) {
    this.#gl = gl;
    this.#assets = assets;
    this.#program = link(gl);
    gl.useProgram(this.#program);
    this.#cover();
    this.#upload();
    this.#describe();
  }

  /** Draws a pose, as large as the canvas is shown. */
  paint(pose: Pose): void {
    const gl = this.#gl;
    this.#fit();
    gl.uniform1fv(this.#place("head"), pose.head as number[]);
    this.#weigh("mouth", weighMouths(pose));
    this.#weigh("eye", weighEyes(pose));
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  #fit(): void {
    const { drawingBufferWidth, drawingBufferHeight } = this.#gl;
    const canvas = this.#gl.canvas as HTMLCanvasElement;
    const [frameWidth, frameHeight] = this.#assets.facts.frame;
    // Sharp, whether the page fits the canvas into its place or fills the place with it.
    const shown = Math.max(canvas.clientWidth, (canvas.clientHeight * frameWidth) / frameHeight);
    const width = Math.round(Math.min(MAX_WIDTH, (shown || frameWidth) * devicePixelRatio));
    const height = Math.round((width * frameHeight) / frameWidth);
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    if (drawingBufferWidth !== width || drawingBufferHeight !== height) this.#gl.viewport(0, 0, width, height);
  }

  #weigh(kind: "mouth" | "eye", weights: readonly Weight[]): void {
    const patches = new Int32Array(MAX_PATCHES);
    const shares = new Float32Array(MAX_PATCHES);
    weights.forEach(([patch, share], index) => {
      patches[index] = patch;
      shares[index] = share;
    });
    this.#gl.uniform1iv(this.#place(`${kind}Patches`), patches);
    this.#gl.uniform1fv(this.#place(`${kind}Shares`), shares);
  }

  #place(name: string): WebGLUniformLocation | null {
    if (!this.#places.has(name)) this.#places.set(name, this.#gl.getUniformLocation(this.#program, name));
    return this.#places.get(name) ?? null;
  }

  /** One triangle that is larger than the frame. */
  #cover(): void {
    const gl = this.#gl;
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 3, -1, -1, 3]), gl.STATIC_DRAW);
    const corner = gl.getAttribLocation(this.#program, "corner");
    gl.enableVertexAttribArray(corner);
    gl.vertexAttribPointer(corner, 2, gl.FLOAT, false, 0, 0);
  }

  #upload(): void {
    const gl = this.#gl;
    const { base, mouth, eyes, grid, facts } = this.#assets;
    gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
    gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
    for (const [unit, image] of [[BASE, base], [MOUTH, mouth], [EYES, eyes]] as const) {
      this.#bind(unit, gl.TEXTURE_2D);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, image);
    }
    const { columns, rows } = facts.grid;
    this.#bind(GRID, gl.TEXTURE_2D_ARRAY);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 2);
    gl.texImage3D(gl.TEXTURE_2D_ARRAY, 0, gl.RG16F, columns, rows, GRID_LAYERS, 0, gl.RG, gl.HALF_FLOAT, grid);
  }

  #bind(unit: number, target: number): void {
    const gl = this.#gl;
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.bindTexture(target, gl.createTexture());
    for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(target, filter, gl.LINEAR);
    for (const wrap of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(target, wrap, gl.CLAMP_TO_EDGE);
  }

  #describe(): void {
    const gl = this.#gl;
    const { facts, background } = this.#assets;
    const { grid, mouth, eyes, backdrop, picture } = facts;
    for (const [unit, name] of ["base", "mouth", "eyes", "grid"].entries()) gl.uniform1i(this.#place(name), unit);
    gl.uniform2f(this.#place("picture"), ...picture);
    gl.uniform2f(this.#place("cells"), grid.columns, grid.rows);
    gl.uniform2f(this.#place("start"), ...grid.start);
    gl.uniform2f(this.#place("stride"), ...grid.step);
    gl.uniform4f(this.#place("mouthBox"), ...corners(mouth.box));
    gl.uniform4f(this.#place("eyeBox"), ...corners(eyes.box));
    gl.uniform1f(this.#place("mouthColumns"), mouth.columns);
    gl.uniform1f(this.#place("eyeColumns"), eyes.columns);
    gl.uniform3fv(this.#place("inner"), backdrop.inner.map((each) => each / 255));
    gl.uniform3fv(this.#place("outer"), backdrop.outer.map((each) => each / 255));
    gl.uniform4f(this.#place("plain"), ...(background?.colour ?? ([0, 0, 0] as const)), background?.alpha ?? 0);
  }
}

function corners({ left, top, right, bottom }: Box): [number, number, number, number] {
  return [left, top, right, bottom];
}

function link(gl: WebGL2RenderingContext): WebGLProgram {
  const program = gl.createProgram();
  for (const [type, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]] as const) {
    const shader = gl.createShader(type);
    if (!shader) throw new Error("The graphics context is lost.");
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
    throw new Error(`The face cannot be drawn: ${gl.getProgramInfoLog(program) ?? "no reason"}`);
  }
  return program;
}
