// Made by "make web" from clients/js/src/blendshape, sha256 885b37874fb32d8ccb506dbc1c9fd647f6990ea628d34a305340badeec7d254e
const e=[`base.webp`,`mouth.webp`,`eyes.webp`];async function t(t,i){let a=new URL(t,location.href),o=async e=>{let t=await fetch(new URL(e,a),{signal:i});if(!t.ok)throw Error(`The face has no ${e} (${t.status}).`);return t},[s,c,[l,u,d]]=await Promise.all([o(`meta.json`).then(e=>e.json()),o(`grid.f16`).then(e=>e.arrayBuffer()),Promise.all(e.map(async e=>n(await o(e))))]);if(s.version!==1)throw Error(`The face is of version ${s.version}.`);if(!l||!u||!d)throw Error(`The face is not whole.`);let f=r(a.searchParams.get(`background`));return{facts:s,base:l,mouth:u,eyes:d,grid:new Uint16Array(c),background:f}}async function n(e){return createImageBitmap(await e.blob(),{premultiplyAlpha:`none`,colorSpaceConversion:`none`})}function r(e){let[,t]=e?.match(/^#([0-9a-f]{6}(?:[0-9a-f]{2})?)$/i)??[];if(!t)return null;let n=e=>Number.parseInt(t.slice(e*2,e*2+2)||`ff`,16)/255;return{colour:[n(0),n(1),n(2)],alpha:n(3)}}const i=2**32;function a(e,t){return e+Math.round((t-e)/i)*i}var o=class{#e=null;#t=null;#n=0;setOffset(e){this.#e!==e&&(this.#t=null),this.#e=e}at(e,t){let[n]=t.getSynchronizationSources();if(n&&this.#e!==null){let e=n.timestamp>0xe8d4a51000?n.timestamp-performance.timeOrigin:n.timestamp;e!==this.#n&&(this.#n=e,this.#r(n.rtpTimestamp-this.#e,e))}return this.#t===null?null:this.#t+e*48}#r(e,t){let n=this.#t,r=t*48,i=a(e-r,n??-r);this.#t=n===null||Math.abs(i-n)>4800?i:n+(i-n)*.1}};function s(e){let t=new DataView(e);if(t.byteLength<8||t.getUint8(0)!==1)return null;let n=t.getUint8(1);if(n===1)return{kind:`clock`,offset:t.getUint32(4,!0)};if(n!==0||t.byteLength<30)return null;let r=e=>t.getUint8(e)/255,i=e=>t.getInt8(e)/127;return{kind:`pose`,time:t.getUint32(4,!0),pose:{open:r(8),round:i(9),consonants:[10,11,12,13,14].map(r),blink:r(15),gaze:[16,17].map(i),brow:r(18),smile:r(19),head:[20,22,24,26,28].map(e=>t.getInt16(e,!0)*1e-4)}}}const c=[0,.16,.36,.62,1],l=[-1,-.5,0,.5,1],u=c.length,d=u*u,f=.02,[p,m,h,g,_,v]=[0,4,5,6,7,8];function y(e){let t=1-Math.min(1,e.consonants.reduce((e,t)=>e+t,0)),n=e.consonants.map((e,t)=>[d+t,e]);for(let[r,i]of x(c,e.open))for(let[a,o]of x(l,e.round))n.push([r*u+a,i*o*t]);let r=n.filter(([,e])=>e>f).sort(([,e],[,t])=>t-e).slice(0,6),i=r.reduce((e,[,t])=>e+t,0);return i?r.map(([e,t])=>[e,t/i]):[[2,1]]}function b(e){if(e.blink>f){let t=Math.min(2,Math.floor(e.blink*3)),n=e.blink*3-t;return[[t,1-n],[t+1,n]]}let[t=0,n=0]=e.gaze,r=[[p,1]],i=[[h,t],[m,-t],[g,n],[_,e.brow],[v,e.smile]];for(let[e,t]of i)t<=f||(r=r.map(([e,n])=>[e,n*(1-t)]),r.push([e,t]));return r}function x(e,t){let n=0;for(;n<e.length-2&&t>=(e[n+1]??1/0);)n++;let[r=0,i=1]=e.slice(n,n+2),a=Math.min(1,Math.max(0,(t-r)/(i-r)));return[[n,1-a],[n+1,a]]}const[S,C,w,T]=[0,1,2,3];var E=class{#e;#t;#n=/* @__PURE__ */ new Map;#r;constructor(e,t){this.#e=e,this.#t=t,this.#r=O(e),e.useProgram(this.#r),this.#s(),this.#c(),this.#u()}paint(e){let t=this.#e;this.#i(),t.uniform1fv(this.#o(`head`),e.head),this.#a(`mouth`,y(e)),this.#a(`eye`,b(e)),t.drawArrays(t.TRIANGLES,0,3)}#i(){let{drawingBufferWidth:e,drawingBufferHeight:t}=this.#e,n=this.#e.canvas,[r,i]=this.#t.facts.frame,a=Math.max(n.clientWidth,n.clientHeight*r/i),o=Math.round(Math.min(1080,(a||r)*devicePixelRatio)),s=Math.round(o*i/r);(n.width!==o||n.height!==s)&&(n.width=o,n.height=s),(e!==o||t!==s)&&this.#e.viewport(0,0,o,s)}#a(e,t){let n=/* @__PURE__ */ new Int32Array(6),r=/* @__PURE__ */ new Float32Array(6);t.forEach(([e,t],i)=>{n[i]=e,r[i]=t}),this.#e.uniform1iv(this.#o(`${e}Patches`),n),this.#e.uniform1fv(this.#o(`${e}Shares`),r)}#o(e){return this.#n.has(e)||this.#n.set(e,this.#e.getUniformLocation(this.#r,e)),this.#n.get(e)??null}#s(){let e=this.#e;e.bindBuffer(e.ARRAY_BUFFER,e.createBuffer()),e.bufferData(e.ARRAY_BUFFER,new Float32Array([-1,-1,3,-1,-1,3]),e.STATIC_DRAW);let t=e.getAttribLocation(this.#r,`corner`);e.enableVertexAttribArray(t),e.vertexAttribPointer(t,2,e.FLOAT,!1,0,0)}#c(){let e=this.#e,{base:t,mouth:n,eyes:r,grid:i,facts:a}=this.#t;e.pixelStorei(e.UNPACK_PREMULTIPLY_ALPHA_WEBGL,!1),e.pixelStorei(e.UNPACK_COLORSPACE_CONVERSION_WEBGL,e.NONE);for(let[i,a]of[[S,t],[C,n],[w,r]])this.#l(i,e.TEXTURE_2D),e.texImage2D(e.TEXTURE_2D,0,e.RGBA,e.RGBA,e.UNSIGNED_BYTE,a);let{columns:o,rows:s}=a.grid;this.#l(T,e.TEXTURE_2D_ARRAY),e.pixelStorei(e.UNPACK_ALIGNMENT,2),e.texImage3D(e.TEXTURE_2D_ARRAY,0,e.RG16F,o,s,6,0,e.RG,e.HALF_FLOAT,i)}#l(e,t){let n=this.#e;n.activeTexture(n.TEXTURE0+e),n.bindTexture(t,n.createTexture());for(let e of[n.TEXTURE_MIN_FILTER,n.TEXTURE_MAG_FILTER])n.texParameteri(t,e,n.LINEAR);for(let e of[n.TEXTURE_WRAP_S,n.TEXTURE_WRAP_T])n.texParameteri(t,e,n.CLAMP_TO_EDGE)}#u(){let e=this.#e,{facts:t,background:n}=this.#t,{grid:r,mouth:i,eyes:a,backdrop:o,picture:s}=t;for(let[t,n]of[`base`,`mouth`,`eyes`,`grid`].entries())e.uniform1i(this.#o(n),t);e.uniform2f(this.#o(`picture`),...s),e.uniform2f(this.#o(`cells`),r.columns,r.rows),e.uniform2f(this.#o(`start`),...r.start),e.uniform2f(this.#o(`stride`),...r.step),e.uniform4f(this.#o(`mouthBox`),...D(i.box)),e.uniform4f(this.#o(`eyeBox`),...D(a.box)),e.uniform1f(this.#o(`mouthColumns`),i.columns),e.uniform1f(this.#o(`eyeColumns`),a.columns),e.uniform3fv(this.#o(`inner`),o.inner.map(e=>e/255)),e.uniform3fv(this.#o(`outer`),o.outer.map(e=>e/255)),e.uniform4f(this.#o(`plain`),...n?.colour??[0,0,0],n?.alpha??0)}};function D({left:e,top:t,right:n,bottom:r}){return[e,t,n,r]}function O(e){let t=e.createProgram();for(let[n,r]of[[e.VERTEX_SHADER,`#version 300 es
in vec2 corner;
out vec2 at;
void main() {
  at = vec2(corner.x, -corner.y) * 0.5 + 0.5;
  gl_Position = vec4(corner, 0.0, 1.0);
}`],[e.FRAGMENT_SHADER,`#version 300 es
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
uniform int mouthPatches[6], eyePatches[6];
uniform float mouthShares[6], eyeShares[6];
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

vec3 blend(sampler2D sheet, float columns, int patches[6], float shares[6], vec4 box, vec2 place) {
  vec3 sum = vec3(0.0);
  for (int index = 0; index < 6; index++) {
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
}`]]){let i=e.createShader(n);if(!i)throw Error(`The graphics context is lost.`);e.shaderSource(i,r),e.compileShader(i),e.attachShader(t,i)}if(e.linkProgram(t),!e.getProgramParameter(t,e.LINK_STATUS)&&!e.isContextLost())throw Error(`The face cannot be drawn: ${e.getProgramInfoLog(t)??`no reason`}`);return t}const k={open:0,round:0,consonants:[0,0,0,0,0],blink:0,gaze:[0,0],brow:0,smile:0,head:[0,0,0,0,0]};function A(e,t,n){let r=(e,t)=>e+(t-e)*n,i=(e,t)=>e.map((e,n)=>r(e,t[n]??e));return{open:r(e.open,t.open),round:r(e.round,t.round),consonants:i(e.consonants,t.consonants),blink:r(e.blink,t.blink),gaze:i(e.gaze,t.gaze),brow:r(e.brow,t.brow),smile:r(e.smile,t.smile),head:i(e.head,t.head)}}var j=class{#e=[];get end(){return this.#e.at(-1)?.time??null}add(e,t){let n={time:a(e,this.end??e),pose:t},r=this.#e.length;for(;r>0&&(this.#e[r-1]?.time??0)>=n.time;)r--;this.#e[r]?.time!==n.time&&(this.#e.splice(r,0,n),this.#e.length>256&&this.#e.shift())}at(e){let t=a(e,this.end??e);for(;(this.#e[1]?.time??1/0)<=t;)this.#e.shift();let[n,r]=this.#e;return n?n.time>t?{...n.pose,...M(n.pose)}:r&&r.time-n.time<=24e3?A(n.pose,r.pose,(t-n.time)/(r.time-n.time)):t-n.time<=5760?n.pose:{...n.pose,...M(n.pose)}:k}};function M(e){return{open:0,round:e.round/2,consonants:k.consonants,blink:0}}const N=/<([^>]*)>\s*;\s*rel="?face"?/;function P(e){let[,t]=e.headers.get(`Link`)?.match(N)??[];if(!t)throw Error(`The answer names no face.`);return new URL(t,e.url).href}function F(e,t,n,r){return new I(e,t,n,r)}var I=class{ready;#e;#t=new AbortController;#n=new j;#r=new o;#i=null;#a=null;#o=null;#s=k;#c=0;#l=0;constructor(e,t,n,r){this.#e=t;let{signal:i}=this.#t,a=e.createDataChannel(`blendshape`,{ordered:!1,maxRetransmits:0});a.binaryType=`arraybuffer`,a.addEventListener(`message`,({data:e})=>this.#f(e),{signal:i}),e.addEventListener(`track`,({track:e,receiver:t,streams:r})=>{e.kind===`audio`&&(this.#i=t,n.srcObject=r[0]??new MediaStream([e]))},{signal:i}),t.addEventListener(`webglcontextlost`,e=>{e.preventDefault(),this.#o=null},{signal:i}),t.addEventListener(`webglcontextrestored`,()=>this.#d(),{signal:i}),this.ready=this.#u(r),this.ready.catch(()=>void 0)}detach(){this.#t.abort(),cancelAnimationFrame(this.#l),this.#o=null}async#u(e){let{signal:n}=this.#t;this.#a=await t(await e,n),n.throwIfAborted(),this.#d(),this.#l=requestAnimationFrame(this.#p)}#d(){let e=this.#e.getContext(`webgl2`,{alpha:!1,antialias:!1,depth:!1});if(!e)throw Error(`This browser cannot draw the face: it has no WebGL2.`);this.#a&&!e.isContextLost()&&(this.#o=new E(e,this.#a))}#f(e){let t=s(e);t?.kind===`pose`&&this.#n.add(t.time,t.pose),t?.kind===`clock`&&this.#r.setOffset(t.offset)}#p=e=>{this.#l=requestAnimationFrame(this.#p);let t=this.#n.at(this.#m(e)),n=1-Math.exp(-(e-this.#c)/60);this.#s={...t,head:A(this.#s,t,n).head},this.#c=e,this.#o?.paint(this.#s)};#m(e){return(this.#i&&this.#r.at(e,this.#i))??(this.#n.end??e*48)-4800}};export{F as attach,P as findFace};