import { Gateway, Problem, Unreachable, captionOf, split, tickets } from "@parley/client";
import { Microphone } from "@parley/client/microphone";
import { createPlayer } from "@parley/client/players";
import { Session, Stage, holdToTalk } from "@parley/client/ui";
// src/style.css?inline
var style_default = "/* Everything lives in the shadow root; a page themes it by --parley-… properties and ::part(…). */\n\n:host {\n  --accent: var(--parley-accent, light-dark(#0b6a53, #83e3c3));\n  --on-accent: var(--parley-on-accent, light-dark(#ffffff, #05251b));\n  --ink: var(--parley-ink, light-dark(#13201c, #f0f5f2));\n  --paper: var(--parley-paper, light-dark(#fcfdfc, #121917));\n  --muted: color-mix(in oklab, var(--ink) 72%, var(--paper));\n  --tint: color-mix(in oklab, var(--ink) 9%, var(--paper));\n  --line: color-mix(in oklab, var(--ink) 16%, transparent);\n  --glass: color-mix(in oklab, var(--paper) 88%, transparent);\n  --danger: var(--parley-danger, light-dark(#b3261e, #ff9d93));\n  --on-danger: var(--parley-on-danger, light-dark(#ffffff, #3d0703));\n  --radius: var(--parley-radius, 1.25rem);\n  --edge: inset 0 0 0 1px var(--line);\n  --lift: 0 1px 2px rgb(8 14 12 / 0.12), 0 12px 36px rgb(8 14 12 / 0.24);\n  --ease: cubic-bezier(0.2, 0.7, 0.2, 1);\n  --gap: var(--parley-inset, 1.25rem);\n  color-scheme: light dark;\n  display: block;\n  color: var(--ink);\n  font: 400 1rem / 1.4\n    var(\n      --parley-font,\n      ui-sans-serif,\n      system-ui,\n      \"PingFang SC\",\n      \"Hiragino Sans GB\",\n      \"Microsoft YaHei\",\n      \"Noto Sans CJK SC\",\n      sans-serif\n    );\n  text-align: start;\n  -webkit-text-size-adjust: 100%;\n}\n\n:host([hidden]) {\n  display: none;\n}\n\n:host([theme=\"light\"]) {\n  color-scheme: light;\n}\n\n:host([theme=\"dark\"]) {\n  color-scheme: dark;\n}\n\n:host([mode=\"floating\"]) {\n  position: fixed;\n  inset: auto max(var(--gap), env(safe-area-inset-right)) max(var(--gap), env(safe-area-inset-bottom)) auto;\n  z-index: var(--parley-z-index, 2147483000);\n}\n\n* {\n  box-sizing: border-box;\n  margin: 0;\n}\n\n[hidden] {\n  display: none !important;\n}\n\nbutton,\ninput {\n  border: 0;\n  background: none;\n  color: inherit;\n  font: inherit;\n}\n\nbutton {\n  display: inline-flex;\n  align-items: center;\n  justify-content: center;\n  gap: 0.5rem;\n  min-height: 2.75rem;\n  padding: 0 1rem;\n  border-radius: 99px;\n  font-weight: 600;\n  cursor: pointer;\n  touch-action: manipulation;\n  user-select: none;\n  -webkit-user-select: none;\n  -webkit-tap-highlight-color: transparent;\n}\n\nbutton:disabled {\n  cursor: default;\n  opacity: 0.45;\n}\n\nsvg {\n  flex: none;\n  width: 1.3rem;\n  height: 1.3rem;\n  fill: none;\n  stroke: currentColor;\n  stroke-width: 1.8;\n  stroke-linecap: round;\n  stroke-linejoin: round;\n}\n\n:focus-visible {\n  outline: 3px solid var(--accent);\n  outline-offset: 2px;\n}\n\n.unseen {\n  position: absolute;\n  width: 1px;\n  height: 1px;\n  overflow: hidden;\n  clip-path: inset(50%);\n  white-space: nowrap;\n}\n\n.launcher,\n.call {\n  min-height: 3.5rem;\n  padding: 0 1.6rem 0 1.35rem;\n  background: var(--accent);\n  color: var(--on-accent);\n  font-size: 1.05rem;\n  box-shadow: var(--lift);\n  transition:\n    transform 0.2s var(--ease),\n    opacity 0.2s;\n}\n\n.launcher:hover,\n.call:hover:not(:disabled) {\n  transform: translateY(-1px);\n}\n\n.launcher:active,\n.call:active:not(:disabled) {\n  transform: scale(0.98);\n}\n\n.panel {\n  container-type: size;\n  position: relative;\n  overflow: hidden;\n  width: 100%;\n  height: 100%;\n  min-height: inherit;\n  border-radius: var(--radius);\n  background: var(--paper);\n  isolation: isolate;\n}\n\n:host(:not([mode=\"floating\"])) {\n  height: 36rem;\n}\n\n:host([mode=\"floating\"]) .panel {\n  width: min(24rem, calc(100vw - 2 * var(--gap)));\n  height: min(40rem, calc(100dvh - 2 * var(--gap)));\n  box-shadow: var(--lift), 0 0 0 1px var(--line);\n  animation: rise 0.3s var(--ease);\n}\n\n.stage {\n  background: var(--tint);\n}\n\n.veil {\n  position: absolute;\n  inset: 0;\n  background: linear-gradient(to top, var(--paper), color-mix(in oklab, var(--paper) 55%, transparent) 9rem, transparent 16rem);\n  pointer-events: none;\n}\n\n.top {\n  position: absolute;\n  inset: 0.75rem 0.75rem auto;\n  display: flex;\n  justify-content: space-between;\n  align-items: flex-start;\n  gap: 0.75rem;\n}\n\n.status {\n  display: inline-flex;\n  align-items: center;\n  gap: 0.45rem;\n  min-height: 1.9rem;\n  padding: 0 0.8rem 0 0.65rem;\n  border-radius: 99px;\n  background: var(--glass);\n  box-shadow: var(--edge);\n  font-size: 0.85rem;\n  font-weight: 550;\n}\n\n.status::before {\n  content: \"\";\n  width: 0.5rem;\n  height: 0.5rem;\n  border-radius: 50%;\n  background: var(--muted);\n}\n\n[data-status=\"listening\"] .status::before,\n[data-status=\"speaking\"] .status::before,\n[data-status=\"resting\"] .status::before {\n  background: var(--accent);\n}\n\n[data-status=\"hearing\"] .status::before,\n[data-status=\"connecting\"] .status::before,\n[data-status=\"thinking\"] .status::before {\n  background: var(--accent);\n  animation: pulse 1s ease-in-out infinite;\n}\n\n[data-status=\"reconnecting\"] .status::before,\n[data-status=\"cut\"] .status::before {\n  background: var(--danger);\n}\n\n.close {\n  min-height: 2.5rem;\n  width: 2.5rem;\n  margin-left: auto;\n  padding: 0;\n  background: var(--glass);\n  box-shadow: var(--edge);\n}\n\n.bottom {\n  position: absolute;\n  inset: auto 0 0;\n  display: grid;\n  justify-items: center;\n  gap: 0.75rem;\n  padding: 0 0.75rem 0.75rem;\n}\n\n.lobby {\n  display: grid;\n  justify-items: center;\n  gap: 0.75rem;\n  padding-bottom: 0.75rem;\n  text-align: center;\n}\n\n/* Without a portrait there is nothing above the call button to see. */\n[data-face=\"false\"]:is([data-status=\"idle\"], [data-status=\"connecting\"]) .bottom {\n  inset: 0;\n  align-content: center;\n}\n\n.hint {\n  max-width: 22rem;\n  color: var(--muted);\n  font-size: 0.9rem;\n  text-wrap: balance;\n}\n\n.captions {\n  display: flex;\n  /* Keeps the newest line in view. */\n  flex-direction: column-reverse;\n  max-width: min(40rem, 100%);\n  max-height: min(11rem, 30cqh);\n  overflow-y: auto;\n  scrollbar-width: none;\n  border-radius: calc(var(--radius) * 0.9);\n  background: var(--glass);\n  box-shadow: var(--edge);\n}\n\n.captions:not(:has(p:not(:empty))) {\n  display: none;\n}\n\n.lines {\n  display: grid;\n  gap: 0.25rem;\n  padding: 0.7rem 1.1rem 0.75rem;\n  text-align: center;\n}\n\n.lines p:empty {\n  display: none;\n}\n\n.question {\n  color: var(--muted);\n  font-size: 0.925rem;\n  text-wrap: balance;\n}\n\n.question[data-final=\"false\"] {\n  opacity: 0.75;\n}\n\n.reply {\n  font-size: clamp(1.1rem, 3cqw, 1.35rem);\n  font-weight: 520;\n  letter-spacing: -0.01em;\n  line-height: 1.36;\n  text-wrap: pretty;\n}\n\n.word {\n  animation: appear 0.3s;\n}\n\n.coming {\n  visibility: hidden;\n}\n\ns {\n  color: var(--muted);\n  text-decoration-color: var(--danger);\n  text-decoration-thickness: 1px;\n}\n\n.chip {\n  min-height: 2.5rem;\n  background: var(--glass);\n  box-shadow: var(--edge);\n  font-size: 0.925rem;\n}\n\n.notice {\n  display: flex;\n  align-items: center;\n  gap: 0.5rem;\n  max-width: min(34rem, 100%);\n  padding: 0.35rem 0.4rem 0.35rem 1rem;\n  border-radius: var(--radius);\n  background: var(--paper);\n  box-shadow: inset 0 0 0 1px color-mix(in oklab, var(--danger) 55%, transparent), var(--lift);\n  font-size: 0.925rem;\n}\n\n.notice p {\n  padding-block: 0.4rem;\n}\n\n.retry {\n  min-height: 2.4rem;\n  padding: 0 0.9rem;\n  background: var(--tint);\n  font-size: 0.9rem;\n  white-space: nowrap;\n}\n\n.dismiss {\n  min-height: 2.4rem;\n  width: 2.4rem;\n  margin-left: auto;\n  padding: 0;\n}\n\n.dismiss svg {\n  width: 1.1rem;\n  height: 1.1rem;\n}\n\n.controls {\n  display: grid;\n  grid-template-columns: auto 1fr auto;\n  gap: 0.5rem;\n  width: min(52rem, 100%);\n  padding: 0.5rem;\n  border-radius: calc(var(--radius) + 0.25rem);\n  background: var(--glass);\n  box-shadow: var(--edge);\n}\n\n.write {\n  grid-column: 1 / -1;\n  position: relative;\n}\n\n.text {\n  width: 100%;\n  min-height: 2.75rem;\n  padding: 0 3.1rem 0 1rem;\n  border-radius: 99px;\n  background: var(--tint);\n}\n\n.text:focus-visible {\n  outline-offset: -2px;\n}\n\n.text::placeholder {\n  color: var(--muted);\n  opacity: 1;\n}\n\n.send {\n  position: absolute;\n  inset: 0.25rem 0.25rem 0.25rem auto;\n  min-height: 0;\n  width: 2.25rem;\n  padding: 0;\n  background: var(--paper);\n  box-shadow: var(--edge);\n}\n\n.interrupt,\n.hangup {\n  min-height: 3rem;\n  width: 3.5rem;\n  padding: 0;\n}\n\n.interrupt {\n  background: var(--tint);\n}\n\n.hangup {\n  background: var(--danger);\n  color: var(--on-danger);\n}\n\n.talk {\n  --level: 0;\n  position: relative;\n  min-height: 3rem;\n  min-width: 0;\n  background: var(--accent);\n  color: var(--on-accent);\n  touch-action: none;\n  transition: background-color 0.2s;\n}\n\n.talk[data-microphone=\"muted\"],\n.talk[data-microphone=\"off\"] {\n  background: var(--paper);\n  color: var(--ink);\n  box-shadow: var(--edge);\n}\n\n.talk[aria-pressed=\"true\"] {\n  filter: brightness(0.9);\n}\n\n/* The microphone's level, as a line that grows with the voice. */\n.talk:not([data-microphone=\"muted\"], [data-microphone=\"off\"])::after {\n  content: \"\";\n  position: absolute;\n  inset: auto 1.4rem 0.35rem;\n  height: 3px;\n  border-radius: 3px;\n  background: currentColor;\n  transform: scaleX(calc(0.04 + var(--level) * 0.96));\n}\n\n.talk .deaf,\n.talk:is([data-microphone=\"muted\"], [data-microphone=\"off\"]) .hears {\n  display: none;\n}\n\n.talk:is([data-microphone=\"muted\"], [data-microphone=\"off\"]) .deaf {\n  display: block;\n  color: var(--danger);\n}\n\n@container (width >= 40rem) {\n  .controls {\n    grid-template-columns: 1fr auto auto auto;\n  }\n\n  .write {\n    grid-column: 1;\n  }\n\n  .write .text {\n    min-height: 3rem;\n  }\n\n  .talk {\n    grid-row: 1;\n    grid-column: 2;\n    min-width: 11rem;\n  }\n\n  .bottom {\n    gap: 1rem;\n    padding: 0 1rem 1rem;\n  }\n}\n\n@media (width < 30rem) {\n  :host([mode=\"floating\"]) {\n    --gap: var(--parley-inset, 0.6rem);\n  }\n}\n\n@media (forced-colors: active) {\n  button,\n  .panel,\n  .captions {\n    border: 1px solid;\n  }\n}\n\n@keyframes rise {\n  from {\n    opacity: 0;\n    transform: translateY(0.75rem);\n  }\n}\n\n@keyframes appear {\n  from {\n    opacity: 0;\n  }\n}\n\n@keyframes pulse {\n  50% {\n    opacity: 0.35;\n  }\n}\n\n@media (prefers-reduced-motion: reduce) {\n  * {\n    animation: none !important;\n    transition: none !important;\n  }\n}\n";
// src/ticket.ts
var ANSWER_MS = 2e4;
/** For how long a ticket is kept whose end is not told. */
var KEPT_MS = 6e4;
/**
* Asks an address for a ticket, with the cookies of the page's own site. Once there is a task,
* `?taskId=` names the one that the ticket must open. The answer is that of the gateway, or at least
* `{"ticket": "parley_ticket_…"}`.
*/
async function fetchTicket(url, taskId) {
	const address = new URL(url, document.baseURI);
	if (taskId) address.searchParams.set("taskId", taskId);
	const response = await fetch(address, {
		method: "POST",
		credentials: "same-origin",
		headers: { Accept: "application/json" },
		signal: AbortSignal.timeout(ANSWER_MS)
	}).catch((error) => {
		throw new Unreachable(`The ticket's address does not answer: ${String(error)}`);
	});
	const { status } = response;
	if (!response.ok) throw new Problem({
		status,
		reason: "TICKET_REFUSED",
		detail: `The ticket's address answers ${status}.`
	});
	const { ticket, expiresAt } = await response.json();
	if (!ticket) throw new Problem({
		status: 401,
		reason: "TICKET_REFUSED",
		detail: "The ticket's address answers without a ticket."
	});
	return {
		ticket,
		expiresAt: expiresAt ?? new Date(Date.now() + KEPT_MS).toISOString()
	};
}
// src/texts.ts
var en = {
	"launch": "Talk to us",
	"launch.name": "Talk with {name}",
	"call": "Call",
	"call.again": "Call again",
	"hint.open": "The microphone is open during the call; you can mute it.",
	"hint.hold": "Your microphone hears only while you hold the button.",
	"close": "Close",
	"status.idle": "Ready",
	"status.connecting": "Calling …",
	"status.reconnecting": "Reconnecting",
	"status.cut": "Cut off",
	"status.resting": "On air",
	"status.listening": "Listening",
	"status.hearing": "Hearing you",
	"status.muted": "Muted",
	"status.thinking": "Thinking",
	"status.speaking": "Speaking",
	"talk.hold": "Hold to talk",
	"talk.send": "Send",
	"talk.mute": "Mute",
	"talk.unmute": "Unmute",
	"talk.off": "Use microphone",
	"text": "Write a question",
	"send": "Send",
	"interrupt": "Interrupt",
	"hangup": "End call",
	"sound": "Turn the sound on",
	"you": "You",
	"retry": "Try again",
	"dismiss": "Dismiss",
	"error.microphone-missing": "There is no microphone. You can write instead.",
	"error.microphone-denied": "The microphone is not allowed. Allow it in the address bar, or write instead.",
	"error.microphone-insecure": "Browsers give the microphone to secure pages only. You can write instead.",
	"error.microphone-busy": "The microphone does not start. Another program may be using it; you can write instead.",
	"error.credentials": "This page may not call: its access has expired or is not valid.",
	"error.busy": "All lines are busy. Please try again in a moment.",
	"error.unavailable": "A service that is needed does not answer. Please try again in a moment.",
	"error.unreachable": "The server does not answer. Trying again …",
	"error.not-reached": "The server does not answer. Please check your connection and try again.",
	"error.no-speech": "I did not hear anything. Please say it again, a little closer to the microphone.",
	"error.audio": "That recording cannot be used. Please say it again.",
	"error.player": "Picture and sound do not come. Trying again …",
	"error.player-gone": "Picture and sound do not come. You can read the answers.",
	"error.unseen": "Picture and sound did not come, so the call was ended.",
	"error.clock": "This device's clock is wrong. The call goes on, but set the clock.",
	"error.internal": "Something went wrong: {detail}",
	"ended.REQUESTED": "The call was ended.",
	"ended.EXPIRED": "The call reached its time limit.",
	"ended.IDLE": "The call ended because nothing was said for a while.",
	"ended.CLIENT_GONE": "The call ended because the connection was lost.",
	"ended.CLOUD": "The digital human went off air.",
	"ended.RECONCILED": "The call was cleaned up.",
	"ended.BUDGET": "The call ended because your time is used up.",
	"ended.FAILED": "The digital human failed."
};
var zh = {
	"launch": "和我们聊聊",
	"launch.name": "和{name}聊聊",
	"call": "开始通话",
	"call.again": "再次通话",
	"hint.open": "通话中麦克风保持开启，可随时静音。",
	"hint.hold": "只有按住按钮时，麦克风才会收音。",
	"close": "关闭",
	"status.idle": "准备就绪",
	"status.connecting": "正在呼叫…",
	"status.reconnecting": "正在重连",
	"status.cut": "已断开",
	"status.resting": "通话中",
	"status.listening": "正在听",
	"status.hearing": "听到您说话",
	"status.muted": "已静音",
	"status.thinking": "正在想",
	"status.speaking": "正在说",
	"talk.hold": "按住说话",
	"talk.send": "发送",
	"talk.mute": "静音",
	"talk.unmute": "取消静音",
	"talk.off": "使用麦克风",
	"text": "输入您的问题",
	"send": "发送",
	"interrupt": "打断",
	"hangup": "挂断",
	"sound": "打开声音",
	"you": "您",
	"retry": "重试",
	"dismiss": "关闭提示",
	"error.microphone-missing": "没有找到麦克风，您可以打字。",
	"error.microphone-denied": "麦克风未获允许。请在地址栏中允许，或者打字。",
	"error.microphone-insecure": "浏览器只允许安全页面使用麦克风。您可以打字。",
	"error.microphone-busy": "麦克风无法启动，可能正被其他程序使用。您可以打字。",
	"error.credentials": "此页面无法呼叫：访问凭据已过期或无效。",
	"error.busy": "线路全忙，请稍后再试。",
	"error.unavailable": "所需的服务没有响应，请稍后再试。",
	"error.unreachable": "服务器没有响应，正在重试…",
	"error.not-reached": "服务器没有响应，请检查网络后重试。",
	"error.no-speech": "没有听到声音，请靠近麦克风再说一次。",
	"error.audio": "这段录音无法使用，请再说一次。",
	"error.player": "画面和声音没有到达，正在重试…",
	"error.player-gone": "画面和声音没有到达，您可以阅读回答。",
	"error.unseen": "画面和声音没有传来，通话已结束。",
	"error.clock": "这台设备的时钟不准。通话仍在继续，但请校准时钟。",
	"error.internal": "出了点问题：{detail}",
	"ended.REQUESTED": "通话已结束。",
	"ended.EXPIRED": "通话已达最长时间。",
	"ended.IDLE": "一段时间没有说话，通话已结束。",
	"ended.CLIENT_GONE": "连接中断，通话已结束。",
	"ended.CLOUD": "数字人已下线。",
	"ended.RECONCILED": "通话已被清理。",
	"ended.BUDGET": "您的通话时长已用完，通话已结束。",
	"ended.FAILED": "数字人出现故障。"
};
/** Which of the languages of the texts is best for a language's code: English for all but Chinese. */
function languageOf(code) {
	return code.toLowerCase().startsWith("zh") ? "zh" : "en";
}
function textsIn(language) {
	const texts = {
		en,
		zh
	}[language];
	return (key, values = {}) => texts[key].replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}
/** What the user is told of a problem. */
function messageOf({ code, reason, detail }, translate) {
	const key = code === "ended" ? `ended.${reason}` : `error.${code}`;
	return translate(key in en ? key : "ended.CLOUD", { detail });
}
// src/dom.ts
/** Makes an element with attributes and children; an attribute that is the empty string is set as such. */
function make(tag, attributes = {}, ...children) {
	const element = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
	element.append(...children);
	return element;
}
var ICONS = {
	call: "M6.5 3.5h3l1.6 4.3-2.2 1.6a13 13 0 0 0 5.7 5.7l1.6-2.2 4.3 1.6v3a2.5 2.5 0 0 1-2.7 2.5A16.6 16.6 0 0 1 4 6.2 2.5 2.5 0 0 1 6.5 3.5Z",
	close: "m6 6 12 12M18 6 6 18",
	hangup: "M12 9.2c-3.4 0-6.5 1-8.7 2.8-.7.6-.8 1.6-.3 2.3l1.2 1.7c.4.6 1.2.8 1.9.5l2.7-1.2c.6-.3 1-.9.9-1.6l-.1-1.1c.8-.2 1.6-.2 2.4-.2s1.6 0 2.4.2l-.1 1.1c-.1.7.3 1.3.9 1.6l2.7 1.2c.7.3 1.5.1 1.9-.5l1.2-1.7c.5-.7.4-1.7-.3-2.3-2.2-1.8-5.3-2.8-8.7-2.8Z",
	interrupt: "M9 7h6a2 2 0 0 1 2 2v6a2 2 0 0 1-2 2H9a2 2 0 0 1-2-2V9a2 2 0 0 1 2-2Z",
	microphone: "M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3ZM5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3",
	muted: "M9 6a3 3 0 0 1 6 0v5.5m-.9 1.6A3 3 0 0 1 9 11V9M5.5 11.5a6.5 6.5 0 0 0 10.6 5M18.5 11.5a6.4 6.4 0 0 1-.6 2.7M12 18v3M4 4l16 16",
	send: "M12 19V5M6 11l6-6 6 6",
	sound: "M4 9.5v5h3.5L12 18.5v-13l-4.5 4H4ZM16 9a4 4 0 0 1 0 6M18.5 6.5a8 8 0 0 1 0 11"
};
var SVG = "http://www.w3.org/2000/svg";
/** A picture beside a text, or within a button that has a name; screen readers skip it. */
function icon(name) {
	const svg = document.createElementNS(SVG, "svg");
	svg.setAttribute("viewBox", "0 0 24 24");
	svg.setAttribute("aria-hidden", "true");
	const path = document.createElementNS(SVG, "path");
	path.setAttribute("d", ICONS[name]);
	svg.append(path);
	return svg;
}
/** Sets a text; one that is the same would be announced again by screen readers. */
function setText(element, text) {
	if (element.textContent !== text) element.textContent = text;
}
/** Names a button that shows only an icon, for screen readers and the pointer. */
function setName(element, name) {
	element.setAttribute("aria-label", name);
	element.title = name;
}
// src/captions.ts
var Captions = class {
	element = make("div", {
		class: "captions",
		part: "captions"
	});
	/** What screen readers announce: whole sentences, not words. */
	log = make("div", {
		class: "unseen",
		role: "log",
		"aria-live": "polite"
	});
	#question = make("p", {
		class: "question",
		part: "question"
	});
	#reply = make("p", {
		class: "reply",
		part: "reply"
	});
	#turn = null;
	#announced = 0;
	#isHeard = false;
	#frame = 0;
	constructor() {
		this.element.append(make("div", { class: "lines" }, this.#question, this.#reply));
	}
	/** Shows the last of a call's turns; its words appear only while there is sound for them to follow. */
	show(turn, { isHeard, you }) {
		if (turn?.id !== this.#turn?.id || turn?.end !== this.#turn?.end) this.#draw(turn);
		if (!turn) this.#clear();
		else if (turn.end) this.#announce(turn, turn.end, you);
		this.#turn = turn;
		this.#isHeard = isHeard;
		setText(this.#question, turn?.question ?? "");
		this.#question.dataset["final"] = String(turn?.isQuestionFinal ?? true);
		this.#frame ||= requestAnimationFrame(this.#speak);
	}
	#clear() {
		this.#announced = 0;
		this.log.replaceChildren();
	}
	/** Shows the words that are due, frame by frame; the rest of their sentence keeps its place. */
	#speak = () => {
		this.#frame = 0;
		const turn = this.#turn;
		if (!this.#isHeard || !turn || turn.end || turn.spokenSince === null) return;
		this.#frame = requestAnimationFrame(this.#speak);
		const words = captionOf(turn);
		for (const { text } of words.slice(this.#reply.childElementCount)) this.#reply.append(make("span", { class: "coming" }, text));
		for (const [index, { isSpoken }] of words.entries()) {
			const word = this.#reply.children[index];
			if (word && isSpoken) word.className = "word";
		}
	};
	/** Begins the reply of another turn, or strikes out what was not heard of one that has ended. */
	#draw(turn) {
		if (!turn?.end) return this.#reply.replaceChildren();
		const [heard, unheard] = split(turn.end);
		const words = heard ? unheard.replace(/^[\s\p{Po}]+/u, "") : unheard.trimStart();
		const gap = unheard.slice(0, unheard.length - words.length);
		this.#reply.replaceChildren(heard + gap, ...words ? [make("s", {}, words)] : []);
	}
	#announce({ id, question }, { heard }, you) {
		if (id <= this.#announced) return;
		this.#announced = id;
		if (question) this.log.append(make("p", {}, `${you}: ${question}`));
		if (heard) this.log.append(make("p", {}, heard));
	}
};
// src/view.ts
var View = class {
	stage = new Stage((isSilenced) => {
		this.#soundOn.hidden = !isSilenced;
	});
	#root;
	#session;
	#captions = new Captions();
	#launcherText = make("span");
	#launcher = make("button", {
		class: "launcher",
		part: "launcher",
		type: "button"
	}, icon("call"), this.#launcherText);
	#status = make("p", {
		class: "status",
		part: "status",
		role: "status"
	});
	#close = make("button", {
		class: "close",
		part: "close",
		type: "button"
	}, icon("close"));
	#callText = make("span");
	#call = make("button", {
		class: "call",
		part: "call",
		type: "button"
	}, icon("call"), this.#callText);
	#hint = make("p", {
		class: "hint",
		part: "hint"
	});
	#lobby = make("div", { class: "lobby" }, this.#call, this.#hint);
	#soundOnText = make("span");
	#soundOn = make("button", {
		class: "chip",
		part: "sound",
		type: "button",
		hidden: ""
	}, icon("sound"), this.#soundOnText);
	#noticeText = make("p");
	#retry = make("button", {
		class: "retry",
		part: "retry",
		type: "button"
	});
	#dismiss = make("button", {
		class: "dismiss",
		type: "button"
	}, icon("close"));
	#notice = make("div", {
		class: "notice",
		part: "notice",
		role: "alert",
		hidden: ""
	}, this.#noticeText, this.#retry, this.#dismiss);
	#text = make("input", {
		class: "text",
		part: "text",
		maxlength: "4000",
		autocomplete: "off",
		enterkeyhint: "send"
	});
	#send = make("button", {
		class: "send",
		part: "send"
	}, icon("send"));
	#write = make("form", { class: "write" }, this.#text, this.#send);
	#interrupt = make("button", {
		class: "interrupt",
		part: "interrupt",
		type: "button"
	}, icon("interrupt"));
	#talkText = make("span");
	#talk = make("button", {
		class: "talk",
		part: "talk",
		type: "button"
	}, icon("microphone"), icon("muted"), this.#talkText);
	#hangup = make("button", {
		class: "hangup",
		part: "hangup",
		type: "button"
	}, icon("hangup"));
	#controls = make("div", {
		class: "controls",
		part: "controls"
	}, this.#write, this.#interrupt, this.#talk, this.#hangup);
	#panel;
	#look;
	#state;
	#isOpen = false;
	#undoHold = null;
	constructor(root, session, look) {
		this.#root = root;
		this.#session = session;
		this.#look = look;
		this.#state = session.state;
		this.stage.element.className = "stage";
		this.stage.element.part.add("stage");
		this.#talk.children[0]?.setAttribute("class", "hears");
		this.#talk.children[1]?.setAttribute("class", "deaf");
		this.#panel = make("section", {
			class: "panel",
			part: "panel",
			tabindex: "-1"
		}, this.stage.element, make("div", {
			class: "veil",
			part: "veil"
		}), make("div", { class: "top" }, this.#status, this.#close), make("div", { class: "bottom" }, this.#captions.element, this.#soundOn, this.#notice, this.#lobby, this.#controls), this.#captions.log);
		root.append(this.#launcher, this.#panel);
		this.#listen();
	}
	/** Shows the call, and what may be done about it. */
	render(state, look) {
		const before = this.#state;
		const focused = this.#root.activeElement;
		this.#state = state;
		this.#look = look;
		this.#renderFrame();
		this.#renderTexts();
		this.#renderNotice();
		this.#renderTalk();
		this.stage.setPortrait(this.#portraitUrl);
		if (state.phase === "idle" && before.phase !== "idle") this.stage.showPoster();
		const { line, picture } = state.links;
		const isHeard = picture === "connected" && line !== "suspended";
		this.#captions.show(state.turns.at(-1) ?? null, {
			isHeard,
			you: look.translate("you")
		});
		if (focused && (state.phase !== before.phase || !focused.checkVisibility())) this.#moveFocus();
	}
	/** Shows the microphone's level, 0 to 1. */
	showLevel(level) {
		this.#talk.style.setProperty("--level", level.toFixed(3));
	}
	#listen() {
		const session = this.#session;
		const start = () => void session.start();
		this.#launcher.addEventListener("click", start);
		this.#call.addEventListener("click", start);
		this.#close.addEventListener("click", () => this.#leave());
		this.#soundOn.addEventListener("click", () => void this.stage.play());
		this.#retry.addEventListener("click", () => void session.retry());
		this.#dismiss.addEventListener("click", () => session.dismiss());
		this.#interrupt.addEventListener("click", () => session.interrupt());
		this.#hangup.addEventListener("click", () => this.#leave());
		this.#talk.addEventListener("click", () => {
			if (this.#state.talkMode === "hold") return;
			if (this.#state.microphone === "on") session.mute();
			else session.unmute();
		});
		this.#write.addEventListener("submit", (event) => {
			event.preventDefault();
			const text = this.#text.value.trim();
			this.#text.value = "";
			if (text) session.ask(text);
		});
		this.#panel.addEventListener("keydown", (event) => {
			if (event.key !== "Escape") return;
			if (this.#state.canInterrupt) session.interrupt();
			else if (this.#state.phase !== "live") this.#leave();
		});
	}
	#leave() {
		this.#session.stop();
		this.#isOpen = false;
		this.render(this.#session.state, this.#look);
	}
	#renderFrame() {
		const { phase, status, problem } = this.#state;
		const portraitUrl = this.#portraitUrl;
		const { isFloating, name, language, translate } = this.#look;
		if (phase !== "idle" || problem) this.#isOpen = true;
		const isShown = !isFloating || this.#isOpen;
		this.#panel.hidden = !isShown;
		this.#launcher.hidden = isShown;
		for (const element of [this.#launcher, this.#panel]) element.lang = language;
		this.#panel.dataset["status"] = status;
		this.#panel.dataset["face"] = String(portraitUrl !== "");
		this.#panel.setAttribute("role", isFloating ? "dialog" : "region");
		this.#panel.setAttribute("aria-label", this.#title(name, translate));
		this.#close.hidden = phase === "live" || phase === "idle" && !isFloating;
		this.#status.hidden = phase === "idle";
		this.#lobby.hidden = phase === "live";
		this.#controls.hidden = phase !== "live";
		this.#call.disabled = phase === "connecting";
		this.#interrupt.disabled = !this.#state.canInterrupt;
	}
	get #portraitUrl() {
		return this.#look.portraitUrl || this.#state.portraitUrl;
	}
	#title(name, translate) {
		return name ? translate("launch.name", { name }) : translate("launch");
	}
	#renderTexts() {
		const { phase, status, taskId, talkMode } = this.#state;
		const { name, translate } = this.#look;
		setText(this.#launcherText, this.#title(name, translate));
		setText(this.#status, translate(`status.${status}`));
		const call = phase === "connecting" ? "status.connecting" : taskId ? "call.again" : "call";
		setText(this.#callText, call === "call" ? this.#title(name, translate) : translate(call));
		setText(this.#hint, translate(`hint.${talkMode}`));
		setText(this.#soundOnText, translate("sound"));
		setText(this.#retry, translate("retry"));
		this.#text.placeholder = translate("text");
		this.#text.setAttribute("aria-label", translate("text"));
		setName(this.#send, translate("send"));
		setName(this.#close, translate("close"));
		setName(this.#dismiss, translate("dismiss"));
		setName(this.#interrupt, translate("interrupt"));
		setName(this.#hangup, translate("hangup"));
	}
	#renderNotice() {
		const { problem, phase } = this.#state;
		this.#notice.hidden = !problem;
		if (!problem) return;
		setText(this.#noticeText, messageOf(problem, this.#look.translate));
		this.#retry.hidden = !problem.canRetry || phase === "idle";
	}
	#renderTalk() {
		const { talkMode, isHolding, microphone } = this.#state;
		const isHold = talkMode === "hold";
		setText(this.#talkText, this.#look.translate(isHold ? isHolding ? "talk.send" : "talk.hold" : {
			off: "talk.off",
			muted: "talk.unmute",
			on: "talk.mute"
		}[microphone]));
		this.#talk.dataset["microphone"] = isHold ? "on" : microphone;
		if (isHold) this.#talk.setAttribute("aria-pressed", String(isHolding));
		else this.#talk.removeAttribute("aria-pressed");
		if (isHold) this.#undoHold ??= holdToTalk(this.#talk, this.#session, () => this.#state.isHolding);
		else {
			this.#undoHold?.();
			this.#undoHold = null;
		}
	}
	/** Keeps the focus in the widget: it would be lost with what is hidden. */
	#moveFocus() {
		const { phase, talkMode } = this.#state;
		const writes = talkMode === "open" && matchMedia("(hover: hover) and (pointer: fine)").matches;
		if (phase === "connecting") this.#panel.focus();
		if (phase === "live") (writes ? this.#text : this.#talk).focus();
		if (phase === "idle") (this.#launcher.hidden ? this.#call : this.#launcher).focus();
	}
};
// src/element.ts
var OBSERVED = [
	"lang",
	"mode",
	"name",
	"poster",
	"talk-mode"
];
var sheet = null;
var ParleyAvatar = class extends HTMLElement {
	static observedAttributes = OBSERVED;
	/** A credential, or what provides one; in place of `ticket-url`. */
	credential = given(this, "credential") ?? null;
	/** Functions that the digital human may call in the page, by the names of the persona's tools. */
	tools = given(this, "tools") ?? {};
	origin = {};
	#session;
	#view;
	#leaving = null;
	constructor() {
		super();
		const root = this.attachShadow({ mode: "open" });
		root.adoptedStyleSheets = [sheet ??= makeSheet()];
		this.#session = this.#newSession();
		this.#view = new View(root, this.#session, this.#look);
		this.#session.subscribe(() => this.#render());
	}
	/** Starts the call, unless there is one. Resolves when it is on, or has failed. */
	start() {
		return this.#session.start();
	}
	/** Ends the call. */
	stop() {
		return this.#session.stop();
	}
	/** Asks in writing, during a call. */
	ask(text) {
		this.#session.ask(text);
	}
	/** Cuts off what is said. */
	interrupt() {
		this.#session.interrupt();
	}
	connectedCallback() {
		this.#leaving ??= new AbortController();
		addEventListener("pagehide", () => this.#session.goAway(), { signal: this.#leaving.signal });
		this.#render();
	}
	disconnectedCallback() {
		queueMicrotask(() => {
			if (this.isConnected) return;
			this.#leaving?.abort();
			this.#leaving = null;
			this.#session.stop();
		});
	}
	attributeChangedCallback(name) {
		if (name === "talk-mode") this.#session.changeTalkMode(this.#talkMode);
		if (this.isConnected) this.#render();
	}
	#newSession() {
		return new Session({
			setup: () => ({
				gateway: new Gateway({
					baseUrl: this.#gatewayUrl,
					credential: this.#credentials
				}),
				request: {
					personaId: this.getAttribute("persona") ?? "",
					digitalHumanId: this.getAttribute("digital-human") ?? "",
					lang: this.getAttribute("lang") ?? ""
				},
				createPlayer: (watching) => createPlayer(watching, {
					screen: this.#view.stage.screen,
					output: this.#output
				}),
				tools: this.tools
			}),
			talkMode: this.#talkMode,
			microphone: (listener) => {
				const { worklet } = this.origin;
				return new Microphone(listener, worklet ? { workletUrl: worklet } : {});
			},
			listener: {
				onConnected: (detail) => this.#tell("parley-connected", detail),
				onTurn: (turn) => this.#tell("parley-turn", turn),
				onEnded: (detail) => this.#tell("parley-ended", detail),
				onProblem: (problem) => this.#tell("parley-error", {
					...problem,
					message: messageOf(problem, this.#look.translate)
				}),
				onLevel: (level) => this.#view.showLevel(level)
			}
		});
	}
	get #gatewayUrl() {
		return new URL(this.getAttribute("gateway") ?? this.origin.gateway ?? "/", document.baseURI).href;
	}
	get #credentials() {
		const { credential } = this;
		if (typeof credential === "function") return credential;
		if (credential !== null) return () => credential;
		const url = this.getAttribute("ticket-url");
		return url === null ? () => "" : tickets((taskId) => fetchTicket(url, taskId));
	}
	get #output() {
		return this.getAttribute("output") === "blendshape" ? "blendshape" : "video";
	}
	get #talkMode() {
		return this.getAttribute("talk-mode") === "hold" ? "hold" : "open";
	}
	get #look() {
		const language = languageOf(this.closest("[lang]")?.getAttribute("lang") || navigator.language);
		const { persona } = this.#session.state;
		return {
			isFloating: this.getAttribute("mode") === "floating",
			name: this.getAttribute("name") ?? nameOf(persona, language),
			portraitUrl: this.getAttribute("poster") ?? "",
			language,
			translate: textsIn(language)
		};
	}
	#render() {
		this.#view.render(this.#session.state, this.#look);
	}
	#tell(type, detail) {
		this.dispatchEvent(new CustomEvent(type, {
			detail,
			bubbles: true,
			composed: true
		}));
	}
};
/** What the page has set before the script has defined the element. */
function given(element, name) {
	return Object.getOwnPropertyDescriptor(element, name)?.value;
}
function nameOf(persona, language) {
	return Object.entries(persona?.displayNames ?? {}).find(([code]) => code.split("-")[0] === language)?.[1] ?? persona?.displayName ?? "";
}
function makeSheet() {
	const made = new CSSStyleSheet();
	made.replaceSync(style_default);
	return made;
}
// src/define.ts
var TAG = "parley-avatar";
/** Defines <parley-avatar>, unless the page has it already. */
function defineParleyAvatar(origin = {}) {
	if (customElements.get(TAG)) return;
	customElements.define(TAG, class extends ParleyAvatar {
		origin = origin;
	});
}
// src/index.ts
defineParleyAvatar();
