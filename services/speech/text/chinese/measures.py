"""Quantities with a unit, and counts."""

import re

from services.speech.text.alignment import Reading, replace, rule
from services.speech.text.chinese.numbers import ALONE, MINUS, SCALE, TO, count, number
from services.speech.text.expressions import NUMBER

_NAMES = """
km: 公里, m: 米, cm: 厘米, mm: 毫米, µm: 微米, μm: 微米, nm: 纳米, mi: 英里, ft: 英尺, yd: 码
km²: 平方公里, m²: 平方米, cm²: 平方厘米, mm²: 平方毫米, ft²: 平方英尺, km2: 平方公里, m2: 平方米
m^2: 平方米, sq ft: 平方英尺, m³: 立方米, cm³: 立方厘米, m3: 立方米, m^3: 立方米, ㎡: 平方米
kg: 公斤, g: 克, mg: 毫克, µg: 微克, μg: 微克, mcg: 微克, t: 吨, lb: 磅, lbs: 磅, oz: 盎司
L: 升, l: 升, ml: 毫升, mL: 毫升, dL: 分升, gal: 加仑, mol: 摩尔, mmol: 毫摩尔
h: 小时, hr: 小时, hrs: 小时, min: 分钟, mins: 分钟, s: 秒, sec: 秒, ms: 毫秒, µs: 微秒, ns: 纳秒
km/h: 公里每小时, kmh: 公里每小时, kph: 公里每小时, mph: 英里每小时, m/s: 米每秒
rpm: 转每分钟, bpm: 次每分钟, fps: 帧每秒
kbps: 千比特每秒, Kbps: 千比特每秒, Mbps: 兆比特每秒, Gbps: 吉比特每秒
Hz: 赫兹, kHz: 千赫兹, MHz: 兆赫兹, GHz: 吉赫兹, W: 瓦, kW: 千瓦, MW: 兆瓦, GW: 吉瓦
V: 伏, mV: 毫伏, kV: 千伏, mA: 毫安, Wh: 瓦时, kWh: 千瓦时, MWh: 兆瓦时, mAh: 毫安时, Ah: 安时
J: 焦耳, kJ: 千焦, cal: 卡, kcal: 千卡, N: 牛, Pa: 帕, hPa: 百帕, kPa: 千帕, MPa: 兆帕
psi: 磅每平方英寸, dB: 分贝, hp: 马力, mmHg: 毫米汞柱, px: 像素, ha: 公顷
KB: KB, MB: MB, GB: GB, TB: TB, PB: PB, MB/s: 兆字节每秒, GB/s: 吉字节每秒, ppm: ppm, dpi: dpi
°C: 摄氏度, ° C: 摄氏度, ºC: 摄氏度, ℃: 摄氏度, °F: 华氏度, ℉: 华氏度, °: 度, º: 度
"""
_UNITS = dict(each.strip().split(": ") for each in re.split(r",|\n", _NAMES.strip()))
UNIT = "|".join(map(re.escape, sorted(_UNITS, key=len, reverse=True)))
_PER = rf"(?:/(?P<per>{UNIT}|[天月年人次斤]))?"
_COUNTERS = (
    "小时|分钟|公里|公斤|千米|厘米|毫米|毫升|平方|立方|英里|英尺|英寸|海里|星期|礼拜|世纪(?!\\d)|[个位人名种次天周年只条张家"
    "杯本件间份台辆架套座倍米斤吨升克岁瓶盒袋把双对栋篇首句届场趟遍顿匹头朵片颗块根支枝艘列部门级步秒晚代封册幅棵株滴圈道面群站口节课堂章页元角]"
    "|[成亩顷枚碗轮局票夜桶串桌笔项处户款盘筐捆包罐勺幢扇盏顶段]|公顷|回合|平米|[胜负]|平(?=[\\d，。、]|$)"
)
_NOT_COUNTED = "(?!年级|月份|级|代码|次方|次元)"


def _quantity(match: re.Match[str]) -> str:
    unit = _UNITS[match["unit"]]
    per = f"每{_UNITS.get(match['per'], match['per'])}" if match["per"] else ""
    first, last = match["first"], match["last"]
    is_degree = unit in ("摄氏度", "华氏度", "度")
    say = number if is_degree else count
    minus_last = "负" if match["minus_last"] else ""
    said = f"{say(first)}到{minus_last}{say(last)}" if last else say(first)
    return f"{'负' if match['minus'] else ''}{said}{match['scale'] or ''}{unit}{per}"


def _share(match: re.Match[str]) -> str:
    name = "百分之" if match["sign"] in "%％" else "千分之"
    minus, last = "负" if match["minus"] else "", number(match["last"])
    if not match["first"]:
        return f"{minus}{name}{last}"
    minus_last = "负" if match["minus_last"] else ""
    again = name if match["sign_first"] or minus_last else ""
    return f"{minus}{name}{number(match['first'])}到{minus_last}{again}{last}"


def _counted(match: re.Match[str]) -> Reading:
    return [(count(match[1]), match.span(1))]


def _counted_range(match: re.Match[str]) -> Reading:
    return [
        (count(match[1]), match.span(1)),
        ("到", match.span(2)),
        (count(match[3]), match.span(3)),
    ]


def _height(match: re.Match[str]) -> str:
    inches = f"{count(match[2])}英寸" if match[2] else ""
    return f"{count(match[1])}英尺{inches}"


def _size(match: re.Match[str]) -> str:
    numbers = [number(each) for each in match.group(1, 2, 3) if each]
    return f"{'乘'.join(numbers)}{_UNITS[match[4]]}"


def _arc(match: re.Match[str]) -> str:
    seconds = f"{number(match[3])}秒" if match[3] else ""
    return f"{number(match[1])}度{number(match[2])}分{seconds}"


def _consumption(match: re.Match[str]) -> str:
    return f"{count(match[1])}升每百公里"


SIZES = (
    rule(
        rf"{ALONE}({NUMBER})(/)({NUMBER})(?=\s?(?:℃|°C))",
        lambda match: f"{number(match[1])}到{number(match[3])}",
    ),
    rule(
        rf"{ALONE}({NUMBER})\s?[x×*]\s?({NUMBER})(?:\s?[x×*]\s?({NUMBER}))?\s?(cm|mm|km|m|px)"
        r"(?![A-Za-z²³0-9])",
        _size,
    ),
)
RULES = (
    rule(rf"{ALONE}({NUMBER})\s?(?:L|升)/100\s?(?:km|公里)(?![A-Za-z])", _consumption),
    rule(r"(?<!\d)(\d{1,3})°\s?(\d{1,2})[′']\s?(?:(\d{1,2}(?:\.\d+)?)[″\"])?", _arc),
    rule(rf"{ALONE}({NUMBER})['’′]\s?(?:({NUMBER})(?:[\"”″]|''))", _height),
    rule(rf"{ALONE}({NUMBER})\s?[\"″](?![A-Za-z0-9一-龥])", lambda match: f"{count(match[1])}英寸"),
    rule(
        rf"{ALONE}(?P<minus>{MINUS}\s?)?(?:(?P<first>{NUMBER})\s?(?P<sign_first>[%％‰])?{TO}(?P<minus_last>{MINUS})?)?"
        rf"(?P<last>{NUMBER})\s?(?P<sign>[%％‰])",
        _share,
    ),
    rule(
        rf"{ALONE}(?P<minus>{MINUS}\s?)?(?P<first>{NUMBER})(?:\s?(?:°C?|℃)?{TO}(?P<minus_last>{MINUS})?(?P<last>{NUMBER}))?"
        rf"(?P<scale>{SCALE})?\s?(?P<unit>{UNIT}){_PER}(?![A-Za-z0-9²³]|/[A-Za-z])",
        _quantity,
    ),
    rule(
        rf"{ALONE}({NUMBER})({TO})({NUMBER})(?={SCALE}?\s?(?:{_COUNTERS})){_NOT_COUNTED}",
        _counted_range,
    ),
    rule(
        rf"{ALONE}(?<![第期])(?<!公元)(?<!公元前)(?:(?<!周)|(?<=[每一]周))(2)(?=\s?(?:{_COUNTERS})){_NOT_COUNTED}",
        _counted,
    ),
    rule(rf"{ALONE}(2)(?=室\d)|(?<=\d[室厅])(2)(?=[厅卫])", lambda match: "两"),
    rule(rf"{ALONE}({NUMBER})(?={SCALE})", _counted),
    rule(
        rf"(?:(?<=\^\d)|(?<=\^\d\d)|(?<=[⁰¹²³⁴-⁹]))\s?({UNIT})(?![A-Za-z0-9²³/])",
        lambda match: _UNITS[match[1]],
    ),
    rule(r"(?<=\d)\s?mmHg(?![A-Za-z])", lambda _: "毫米汞柱"),
    rule(r"(?<=[元万])\s?/\s?(?:m²|㎡)", lambda _: "每平方米"),
    replace(r"(?<=\d)°", "度"),
    rule(r"[%％]", lambda _: "百分号"),
)
