import assert from "node:assert/strict";
import { test } from "node:test";
import { Resampler } from "../dist/microphone/resampler.js";

const SECOND = 48_000;

function tone(hertz: number): Float32Array {
  return Float32Array.from({ length: SECOND }, (_, index) => Math.sin((2 * Math.PI * hertz * index) / SECOND));
}

/** Resamples from 48 to 16 kHz in the audio thread's blocks; returns the loudness of what passes. */
function passed(hertz: number): { samples: number; power: number } {
  const resampler = new Resampler(SECOND, 16_000);
  const input = tone(hertz);
  const output: number[] = [];
  for (let at = 0; at < input.length; at += 128) output.push(...resampler.resample(input.subarray(at, at + 128)));
  const settled = output.slice(200, -200);
  return { samples: output.length, power: settled.reduce((sum, each) => sum + each ** 2, 0) / settled.length };
}

test("speech passes unchanged, at a third of the rate", () => {
  const { samples, power } = passed(1000);
  assert.ok(Math.abs(samples - 16_000) < 100, String(samples));
  assert.ok(Math.abs(power - 0.5) < 0.005, String(power));
});

test("what the lower rate cannot hold does not fold back", () => {
  assert.ok(passed(12_000).power < 1e-5);
});

test("rates without a common step are converted, too", () => {
  const resampler = new Resampler(44_100, 16_000);
  let samples = 0;
  for (let block = 0; block < 345; block++) samples += resampler.resample(new Float32Array(128)).length;
  assert.ok(Math.abs(samples - (345 * 128 * 16_000) / 44_100) < 50, String(samples));
});
