// dist/microphone/resampler.js
/** Zero crossings of the filter on either side: the more, the steeper. */
const CROSSINGS = 16;
/** How much of the band passes; the rest is the filter's slope, above which nothing may fold back. */
const PASSBAND = .9;
/** Filters what the lower rate cannot hold (a windowed sinc), and interpolates. */
var Resampler = class {
	/** A step of one output sample is `#step / #phases` input samples. */
	#step;
	#phases;
	/** One filter for each place between two input samples that an output sample may have. */
	#filters;
	#taps;
	#held;
	#phase = 0;
	constructor(fromHertz, toHertz) {
		const divisor = greatestCommonDivisor(fromHertz, toHertz);
		this.#step = fromHertz / divisor;
		this.#phases = toHertz / divisor;
		const cutoff = PASSBAND * Math.min(fromHertz, toHertz) / fromHertz;
		const reach = Math.ceil(CROSSINGS / cutoff);
		this.#taps = 2 * reach;
		this.#filters = Array.from({ length: this.#phases }, (_, phase) => makeFilter(reach, cutoff, phase / this.#phases));
		this.#held = new Float32Array(reach - 1);
	}
	/** Returns the samples that more input completes. */
	resample(input) {
		const samples = new Float32Array(this.#held.length + input.length);
		samples.set(this.#held);
		samples.set(input, this.#held.length);
		const output = [];
		let at = 0;
		while (at + this.#taps <= samples.length) {
			output.push(this.#filterAt(samples, at));
			this.#phase += this.#step;
			at += Math.floor(this.#phase / this.#phases);
			this.#phase %= this.#phases;
		}
		this.#held = samples.slice(at);
		return Float32Array.from(output);
	}
	#filterAt(samples, at) {
		const filter = this.#filters[this.#phase] ?? [];
		let sum = 0;
		for (let tap = 0; tap < filter.length; tap++) sum += (filter[tap] ?? 0) * (samples[at + tap] ?? 0);
		return sum;
	}
};
/** Returns the weights of the samples around one that lies `offset` after the middle's. */
function makeFilter(reach, cutoff, offset) {
	const weights = Float32Array.from({ length: 2 * reach }, (_, tap) => {
		const distance = tap - (reach - 1) - offset;
		return sinc(cutoff * distance) * Math.cos(Math.PI * distance / (2 * reach)) ** 2;
	});
	const total = weights.reduce((sum, weight) => sum + weight);
	return weights.map((weight) => weight / total);
}
function sinc(x) {
	return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}
function greatestCommonDivisor(one, other) {
	return other === 0 ? one : greatestCommonDivisor(other, one % other);
}
// dist/microphone/capture.worklet.js
const RATE_HERTZ = 16e3;
/** 20 ms. */
const MESSAGE_SAMPLES = 320;
var Capture = class extends AudioWorkletProcessor {
	#resampler = new Resampler(sampleRate, RATE_HERTZ);
	#message = new Int16Array(MESSAGE_SAMPLES);
	#filled = 0;
	process([input]) {
		const channel = input?.[0];
		if (channel) for (const sample of this.#resampler.resample(channel)) this.#add(sample);
		return true;
	}
	#add(sample) {
		this.#message[this.#filled++] = Math.round(Math.min(1, Math.max(-1, sample)) * 32767);
		if (this.#filled < MESSAGE_SAMPLES) return;
		this.port.postMessage(this.#message, [this.#message.buffer]);
		this.#message = new Int16Array(MESSAGE_SAMPLES);
		this.#filled = 0;
	}
};
registerProcessor("capture", Capture);
