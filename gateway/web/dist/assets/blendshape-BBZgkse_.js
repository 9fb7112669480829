import{WhepPlayer as e}from"./whep-El9IPE4Q.js";var t=1,n=[`base.webp`,`mouth.webp`,`eyes.webp`];async function r(e,r){let o=new URL(e,location.href),s=async e=>{let t=await fetch(new URL(e,o),{signal:r});if(!t.ok)throw Error(`The face has no ${e} (${t.status}).`);return t},[c,l,[u,d,f]]=await Promise.all([s(`meta.json`).then(e=>e.json()),s(`grid.f16`).then(e=>e.arrayBuffer()),Promise.all(n.map(async e=>i(await s(e))))]);if(c.version!==t)throw Error(`The face is of version ${c.version}.`);if(!u||!d||!f)throw Error(`The face is not whole.`);let p=a(o.searchParams.get(`background`));return{facts:c,base:u,mouth:d,eyes:f,grid:new Uint16Array(l),background:p}}async function i(e){return createImageBitmap(await e.blob(),{premultiplyAlpha:`none`,colorSpaceConversion:`none`})}function a(e){let[,t]=e?.match(/^#([0-9a-f]{6}(?:[0-9a-f]{2})?)$/i)??[];if(!t)return null;let n=e=>Number.parseInt(t.slice(e*2,e*2+2)||`ff`,16)/255;return{colour:[n(0),n(1),n(2)],alpha:n(3)}}var o=48e3,s=2**32;function c(e,t){return e+Math.round((t-e)/s)*s}var l=.1*o,u=.1,d=0xe8d4a51000,f=class{#e=null;#t=null;#n=0;setOffset(e){this.#e!==e&&(this.#t=null),this.#e=e}at(e,t){let[n]=t.getSynchronizationSources();if(n&&this.#e!==null){let e=n.timestamp>d?n.timestamp-performance.timeOrigin:n.timestamp;e!==this.#n&&(this.#n=e,this.#r(n.rtpTimestamp-this.#e,e))}return this.#t===null?null:this.#t+e*48}#r(e,t){let n=this.#t,r=t*48,i=c(e-r,n??-r);this.#t=n===null||Math.abs(i-n)>l?i:n+(i-n)*u}},p=1,m=0,h=1,g=30,_=8,v=1e-4;function y(e){let t=new DataView(e);if(t.byteLength<_||t.getUint8(0)!==p)return null;let n=t.getUint8(1);if(n===h)return{kind:`clock`,offset:t.getUint32(4,!0)};if(n!==m||t.byteLength<g)return null;let r=e=>t.getUint8(e)/255,i=e=>t.getInt8(e)/127;return{kind:`pose`,time:t.getUint32(4,!0),pose:{open:r(8),round:i(9),consonants:[10,11,12,13,14].map(r),blink:r(15),gaze:[16,17].map(i),brow:r(18),smile:r(19),head:[20,22,24,26,28].map(e=>t.getInt16(e,!0)*v)}}}var b=[0,.16,.36,.62,1],x=[-1,-.5,0,.5,1],S=b.length,C=S*S,w=2,T=.02,E=3,[D,O,k,A,j,M]=[0,4,5,6,7,8];function N(e){let t=1-Math.min(1,e.consonants.reduce((e,t)=>e+t,0)),n=e.consonants.map((e,t)=>[C+t,e]);for(let[r,i]of F(b,e.open))for(let[a,o]of F(x,e.round))n.push([r*S+a,i*o*t]);let r=n.filter(([,e])=>e>T).sort(([,e],[,t])=>t-e).slice(0,6),i=r.reduce((e,[,t])=>e+t,0);return i?r.map(([e,t])=>[e,t/i]):[[w,1]]}function P(e){if(e.blink>T){let t=Math.min(2,Math.floor(e.blink*E)),n=e.blink*E-t;return[[t,1-n],[t+1,n]]}let[t=0,n=0]=e.gaze,r=[[D,1]],i=[[k,t],[O,-t],[A,n],[j,e.brow],[M,e.smile]];for(let[e,t]of i)t<=T||(r=r.map(([e,n])=>[e,n*(1-t)]),r.push([e,t]));return r}function F(e,t){let n=0;for(;n<e.length-2&&t>=(e[n+1]??1/0);)n++;let[r=0,i=1]=e.slice(n,n+2),a=Math.min(1,Math.max(0,(t-r)/(i-r)));return[[n,1-a],[n+1,a]]}var I=`#version 300 es
in vec2 corner;
out vec2 at;
void main() {
  at = vec2(corner.x, -corner.y) * 0.5 + 0.5;
  gl_Position = vec4(corner, 0.0, 1.0);
}`,L=`#version 300 es
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
}`,[R,z,ee,B]=[0,1,2,3],V=6,H=1080,U=class{#e;#t;#n=new Map;#r;constructor(e,t){this.#e=e,this.#t=t,this.#r=G(e),e.useProgram(this.#r),this.#s(),this.#c(),this.#u()}paint(e){let t=this.#e;this.#i(),t.uniform1fv(this.#o(`head`),e.head),this.#a(`mouth`,N(e)),this.#a(`eye`,P(e)),t.drawArrays(t.TRIANGLES,0,3)}#i(){let{drawingBufferWidth:e,drawingBufferHeight:t}=this.#e,n=this.#e.canvas,[r,i]=this.#t.facts.frame,a=Math.max(n.clientWidth,n.clientHeight*r/i),o=Math.round(Math.min(H,(a||r)*devicePixelRatio)),s=Math.round(o*i/r);(n.width!==o||n.height!==s)&&(n.width=o,n.height=s),(e!==o||t!==s)&&this.#e.viewport(0,0,o,s)}#a(e,t){let n=new Int32Array(6),r=new Float32Array(6);t.forEach(([e,t],i)=>{n[i]=e,r[i]=t}),this.#e.uniform1iv(this.#o(`${e}Patches`),n),this.#e.uniform1fv(this.#o(`${e}Shares`),r)}#o(e){return this.#n.has(e)||this.#n.set(e,this.#e.getUniformLocation(this.#r,e)),this.#n.get(e)??null}#s(){let e=this.#e;e.bindBuffer(e.ARRAY_BUFFER,e.createBuffer()),e.bufferData(e.ARRAY_BUFFER,new Float32Array([-1,-1,3,-1,-1,3]),e.STATIC_DRAW);let t=e.getAttribLocation(this.#r,`corner`);e.enableVertexAttribArray(t),e.vertexAttribPointer(t,2,e.FLOAT,!1,0,0)}#c(){let e=this.#e,{base:t,mouth:n,eyes:r,grid:i,facts:a}=this.#t;e.pixelStorei(e.UNPACK_PREMULTIPLY_ALPHA_WEBGL,!1),e.pixelStorei(e.UNPACK_COLORSPACE_CONVERSION_WEBGL,e.NONE);for(let[i,a]of[[R,t],[z,n],[ee,r]])this.#l(i,e.TEXTURE_2D),e.texImage2D(e.TEXTURE_2D,0,e.RGBA,e.RGBA,e.UNSIGNED_BYTE,a);let{columns:o,rows:s}=a.grid;this.#l(B,e.TEXTURE_2D_ARRAY),e.pixelStorei(e.UNPACK_ALIGNMENT,2),e.texImage3D(e.TEXTURE_2D_ARRAY,0,e.RG16F,o,s,V,0,e.RG,e.HALF_FLOAT,i)}#l(e,t){let n=this.#e;n.activeTexture(n.TEXTURE0+e),n.bindTexture(t,n.createTexture());for(let e of[n.TEXTURE_MIN_FILTER,n.TEXTURE_MAG_FILTER])n.texParameteri(t,e,n.LINEAR);for(let e of[n.TEXTURE_WRAP_S,n.TEXTURE_WRAP_T])n.texParameteri(t,e,n.CLAMP_TO_EDGE)}#u(){let e=this.#e,{facts:t,background:n}=this.#t,{grid:r,mouth:i,eyes:a,backdrop:o,picture:s}=t;for(let[t,n]of[`base`,`mouth`,`eyes`,`grid`].entries())e.uniform1i(this.#o(n),t);e.uniform2f(this.#o(`picture`),...s),e.uniform2f(this.#o(`cells`),r.columns,r.rows),e.uniform2f(this.#o(`start`),...r.start),e.uniform2f(this.#o(`stride`),...r.step),e.uniform4f(this.#o(`mouthBox`),...W(i.box)),e.uniform4f(this.#o(`eyeBox`),...W(a.box)),e.uniform1f(this.#o(`mouthColumns`),i.columns),e.uniform1f(this.#o(`eyeColumns`),a.columns),e.uniform3fv(this.#o(`inner`),o.inner.map(e=>e/255)),e.uniform3fv(this.#o(`outer`),o.outer.map(e=>e/255)),e.uniform4f(this.#o(`plain`),...n?.colour??[0,0,0],n?.alpha??0)}};function W({left:e,top:t,right:n,bottom:r}){return[e,t,n,r]}function G(e){let t=e.createProgram();for(let[n,r]of[[e.VERTEX_SHADER,I],[e.FRAGMENT_SHADER,L]]){let i=e.createShader(n);if(!i)throw Error(`The graphics context is lost.`);e.shaderSource(i,r),e.compileShader(i),e.attachShader(t,i)}if(e.linkProgram(t),!e.getProgramParameter(t,e.LINK_STATUS)&&!e.isContextLost())throw Error(`The face cannot be drawn: ${e.getProgramInfoLog(t)??`no reason`}`);return t}var K={open:0,round:0,consonants:[0,0,0,0,0],blink:0,gaze:[0,0],brow:0,smile:0,head:[0,0,0,0,0]};function q(e,t,n){let r=(e,t)=>e+(t-e)*n,i=(e,t)=>e.map((e,n)=>r(e,t[n]??e));return{open:r(e.open,t.open),round:r(e.round,t.round),consonants:i(e.consonants,t.consonants),blink:r(e.blink,t.blink),gaze:i(e.gaze,t.gaze),brow:r(e.brow,t.brow),smile:r(e.smile,t.smile),head:i(e.head,t.head)}}var J=256,Y=.12*o,X=.5*o,Z=class{#e=[];get end(){return this.#e.at(-1)?.time??null}add(e,t){let n={time:c(e,this.end??e),pose:t},r=this.#e.length;for(;r>0&&(this.#e[r-1]?.time??0)>=n.time;)r--;this.#e[r]?.time!==n.time&&(this.#e.splice(r,0,n),this.#e.length>J&&this.#e.shift())}at(e){let t=c(e,this.end??e);for(;(this.#e[1]?.time??1/0)<=t;)this.#e.shift();let[n,r]=this.#e;return n?n.time>t?{...n.pose,...Q(n.pose)}:r&&r.time-n.time<=X?q(n.pose,r.pose,(t-n.time)/(r.time-n.time)):t-n.time<=Y?n.pose:{...n.pose,...Q(n.pose)}:K}};function Q(e){return{open:0,round:e.round/2,consonants:K.consonants,blink:0}}var $=`blendshape`,te=/<([^>]*)>\s*;\s*rel="?face"?/,ne=.1*o,re=60;function ie(e){let[,t]=e.headers.get(`Link`)?.match(te)??[];if(!t)throw Error(`The answer names no face.`);return new URL(t,e.url).href}function ae(e,t,n,r){return new oe(e,t,n,r)}var oe=class{ready;#e;#t=new AbortController;#n=new Z;#r=new f;#i=null;#a=null;#o=null;#s=K;#c=0;#l=0;constructor(e,t,n,r){this.#e=t;let{signal:i}=this.#t,a=e.createDataChannel($,{ordered:!1,maxRetransmits:0});a.binaryType=`arraybuffer`,a.addEventListener(`message`,({data:e})=>this.#f(e),{signal:i}),e.addEventListener(`track`,({track:e,receiver:t,streams:r})=>{e.kind===`audio`&&(this.#i=t,n.srcObject=r[0]??new MediaStream([e]))},{signal:i}),t.addEventListener(`webglcontextlost`,e=>{e.preventDefault(),this.#o=null},{signal:i}),t.addEventListener(`webglcontextrestored`,()=>this.#d(),{signal:i}),this.ready=this.#u(r),this.ready.catch(()=>void 0)}detach(){this.#t.abort(),cancelAnimationFrame(this.#l),this.#o=null}async#u(e){let{signal:t}=this.#t;this.#a=await r(await e,t),t.throwIfAborted(),this.#d(),this.#l=requestAnimationFrame(this.#p)}#d(){let e=this.#e.getContext(`webgl2`,{alpha:!1,antialias:!1,depth:!1});if(!e)throw Error(`This browser cannot draw the face: it has no WebGL2.`);this.#a&&!e.isContextLost()&&(this.#o=new U(e,this.#a))}#f(e){let t=y(e);t?.kind===`pose`&&this.#n.add(t.time,t.pose),t?.kind===`clock`&&this.#r.setOffset(t.offset)}#p=e=>{this.#l=requestAnimationFrame(this.#p);let t=this.#n.at(this.#m(e)),n=1-Math.exp(-(e-this.#c)/re);this.#s={...t,head:q(this.#s,t,n).head},this.#c=e,this.#o?.paint(this.#s)};#m(e){return(this.#i&&this.#r.at(e,this.#i))??(this.#n.end??e*48)-ne}},se=class extends e{#e=Promise.withResolvers();#t=null;stop(){this.#t?.detach(),super.stop()}prepare(e){e.searchParams.set(`output`,`blendshape`),this.connection.addTransceiver(`audio`,{direction:`recvonly`}),this.#t=ae(this.connection,this.screen.canvas,this.screen.sound,this.#e.promise)}async accept(e){this.#e.resolve(ie(e)),await this.#t?.ready,this.screen.showDrawing()}};export{se as BlendshapePlayer};