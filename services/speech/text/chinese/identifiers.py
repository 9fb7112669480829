"""Numbers that identify rather than count: telephone numbers, addresses, versions, models."""

import re

from services.speech.text import numerals
from services.speech.text.addresses import (
    ADDRESS,
    DEVICE,
    DOCUMENT,
    read_address,
    read_device,
    read_document,
    spelled,
)
from services.speech.text.alignment import Reading, Span, rule
from services.speech.text.chinese.measures import UNIT
from services.speech.text.chinese.numbers import (
    UNSIGNED,
    YEARS,
    before,
    behind,
    code,
    digits,
    number,
)

_CALLED = re.compile(
    r"(?:拨打|拨通|拨|致电|电话|热线|来电|打给|打|手机|座机|传真|客服|报警|急救|分机|内线|短号|转|联系|呼叫|短信|号码|call|tel)"
    r"[^0-9。！？]{0,10}(?:[\d\s()（）+-]+(?:[、，,或和或者及以及/]|报警|急救)+[^0-9。！？]{0,6}){0,4}$",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"(?:订单|会议|编号|单号|序列号|账号|账户|帐号|卡号|尾号|验证码|密码|学号|工号|证号|证件|身份证|邮编|邮政编码|代码|编码|号码"
    r"|房号|房间|门牌|车牌|车次|航班|班次|公交|线路|端口|股票|QQ|微信|群号|流水号|快递|口令|口令码|取件码|识别码|批号|工单|工号"
    r"|波音|空客|ISBN|ISO|IEEE|RFC|RTX|GTX|ID|PIN)(?:号码?|号?(?:是|为|：|:|#|的|尾数)|号)?[^0-9一-龥。！？]{0,4}$",
    re.IGNORECASE,
)
_EMERGENCY = re.compile(
    r"(?:(?:110|119|120|122)[、和或/]|火警|匪警|盗警|报警|急救|救护车?|消防|交警|交通事故|查号|投诉|举报)(?:台|是|为)?[\s：:]?$"
)
_COUNTED = re.compile(
    r"\s?(?:[个位人名天年月日元块次种件条张家层岁分秒米克斤吨公里万亿千百%％℃°倍度本台辆架座间套份只项页章起例宗桩周]|小时|多|余|美元|欧元"
    rf"|(?:{UNIT})(?![A-Za-z]))"
)
_PLACE = (
    r"(?=\s?(?:号?(?:房间?|室|病房|教室|会议室|包间|包厢|厅|铺|车厢|登机口|柜台|窗口)"
    "|路|线|次列车|次高铁|次动车|次航班|号楼|医院|国道|省道|航班|高速))"
)
_PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_BY_ITSELF = (
    r"(?:(?<![A-Za-z0-9.$€£¥￥一-龥-])|(?<=[在从被由录开年等])|(?<=(?<!以)上)|(?<=(?<!费)用)"
    "|(?<=收到|通过|等到|认为|觉得|所以|因为|移动|联通|铁路|官网))"
)
"""What stands before a number that is a name: 在12306订票, but not 共10010查询结果."""
_RUNS = re.compile(r"[A-Za-z]+|\d+(?:\.\d+)?", re.ASCII)


_SIGNS = {"@": " at ", ".": "点", "-": "杠", "+": "加", "_": "下划线"}


def _address(match: re.Match[str]) -> Reading | None:
    return read_address(match, signs=_SIGNS, digits=code)


def _device(match: re.Match[str]) -> Reading:
    return read_device(match, digit=numerals.chinese_code, space="", pause="，")


def _document(match: re.Match[str]) -> Reading:
    signs = {**_SIGNS, "/": "斜杠", "(": " ", ")": " "}
    return read_document(match, signs=signs, digits=digits)


def _phone(match: re.Match[str]) -> Reading | None:
    text = match[0]
    groups = re.findall(r"\d+", text)
    count = sum(map(len, groups))
    is_marked = re.match(r"[+(（0]", text) or (count == 10 and re.match(r"[48]00\D", text))
    if not 7 <= count <= 19 or not (is_marked or len(groups) > 2 or _CALLED.search(before(match))):
        return None
    if re.fullmatch(r"\d{4}[-.]\d{1,2}[-.]\d{1,2}|\d{1,3}(?: \d{3})+", text):
        return None
    if YEARS.fullmatch(text) and not _CALLED.search(before(match)):
        return None
    start, end = match.span()
    if text.startswith("+"):
        return [("加", (start, start + 1)), *code(match.string, (start + 1, end))]
    return code(match.string, (start, end))


def _mobile(match: re.Match[str]) -> Reading:
    return code(match.string, match.span())


def _digits(match: re.Match[str]) -> Reading:
    return digits(match.string, match.span())


def _dialled_with_signs(match: re.Match[str]) -> Reading | None:
    """Read a code for a telephone's keys: *100#."""
    if not _CALLED.search(before(match, 48)):
        return None
    names = {"*": "星", "#": "井"}
    return [
        (names.get(key) or numerals.chinese_code(key), (place, place + 1))
        for place, key in enumerate(match[0], start=match.start())
    ]


def _dialled(match: re.Match[str]) -> Reading | None:
    if _COUNTED.match(behind(match)) or not _CALLED.search(before(match, 48)):
        return None
    return code(match.string, match.span())


def _named(match: re.Match[str]) -> Reading | None:
    if _COUNTED.match(behind(match)) or not _NAMED.search(before(match)):
        return None
    start, end = match.span()
    if match[0][-1] not in "xX":
        return code(match.string, (start, end))
    return [*code(match.string, (start, end - 1)), (" X", (end - 1, end))]


def _named_groups(match: re.Match[str]) -> Reading | None:
    """Read a code that is written in groups: 123 456."""
    if sum(map(str.isdigit, match[0])) < 6 or not _NAMED.search(before(match)):
        return None
    return code(match.string, match.span())


def _standard(match: re.Match[str]) -> Reading:
    return [
        *code(match.string, match.span(1)),
        ("杠", match.span(2)),
        *digits(match.string, match.span(3)),
    ]


def _masked(match: re.Match[str]) -> Reading:
    """Read the digits that are shown of a number: 6222 **** **** 1234."""
    return [("，", match.span(1)), *code(match.string, match.span(2))]


def _emergency(match: re.Match[str]) -> Reading | None:
    is_alone = not re.match(r"\s?[\w%.,:：/℃°+*=-]", behind(match), re.ASCII)
    is_called = re.match(
        r"\s?(?:报警|报案|急救|火警|匪警|查询|查号|投诉|举报|咨询|电话|热线|网站|官网|客服|服务|平台|、|或|和|接线|中心|指挥|来|(?:就|都)?是[^。，]{0,8}(?:电话|号码|热线|报警|急救|火警|求助))",
        behind(match),
    )
    is_named = not _COUNTED.match(behind(match)) and _EMERGENCY.search(before(match))
    return code(match.string, match.span()) if is_named or (is_alone and is_called) else None


def _version(match: re.Match[str]) -> Reading:
    said: list[tuple[str, Span]] = []
    start = match.start(2)
    if match[1]:
        said.append((match[1][0].upper(), match.span(1)))
    for part in match[2].split("."):
        words = numerals.chinese_digits(part) if len(part) > 2 else number(part)
        lead = "点" if start > match.start(2) else ""
        end = start + len(part)
        said.append((lead + words, (start - len(lead), end)))
        start = end + 1
    return said


def _internet_address(match: re.Match[str]) -> Reading:
    said: list[tuple[str, Span]] = []
    for run in re.finditer(r"\d+|[.:/]", match[0]):
        at = (match.start() + run.start(), match.start() + run.end())
        names = {".": "，点", ":": "，冒号", "/": "，斜杠"}
        said.extend(digits(match.string, at) if run[0].isdigit() else [(names[run[0]], at)])
    return said


def _is_size(text: str) -> bool:
    """Whether it is an amount of memory or power, not the name of a model: 512G, 120W."""
    return re.fullmatch(r"[1-9]\d*[GTW]", text) is not None


def _code(match: re.Match[str]) -> Reading:
    """Read letters with digits: MP3, GPT-4o, H.264, B2B, CA1234."""
    said: list[tuple[str, Span]] = []
    end = match.start()
    for run in _RUNS.finditer(match[0]):
        stop = match.start() + run.end()
        if run[0].isalpha():
            is_joined = said and said[-1][0][-1:].isascii()
            words = (" " if is_joined else "") + spelled(run[0])
        elif "." in run[0]:
            words = number(run[0])
        elif _is_size(match[0]):
            words = numerals.chinese(int(run[0]))
        elif len(run[0]) > 2 or run[0].startswith("0") or len(match[0]) > 9:
            words = numerals.chinese_code(run[0])
        else:
            words = numerals.chinese(int(run[0]))
        said.append((words, (end, stop)))
        end = stop
    return said


def _pages(match: re.Match[str]) -> Reading:
    return [
        (match[1], match.span(1)),
        (number(match[2]), match.span(2)),
        ("到", match.span(3)),
        (number(match[4]), match.span(4)),
    ]


def _plate(match: re.Match[str]) -> Reading:
    """Read a number plate letter by letter."""
    said = " ".join(each for each in match[3] if each)
    for digit in set("0123456789") & set(said):
        said = said.replace(digit, numerals.chinese_code(digit))
    return [
        (match[2], match.span(2)),
        (re.sub(r"(?<=[一-龥]) | (?=[一-龥])", "", said), (match.end(2), match.end())),
    ]


ADDRESSES = (rule(DEVICE, _device), rule(DOCUMENT, _document), rule(ADDRESS, _address))

RULES = (
    rule(r"(?<![A-Za-z0-9.])\d{1,3}(?:\.\d{1,3}){3}(?::\d+|/\d+)?(?![\d.]*\d)", _internet_address),
    rule(
        rf"{UNSIGNED}(?<!\+)(?:\+ ?)?[(（]?\d{{1,5}}[)）]?"
        r"(?:[ -]?[(（]?\d{2,8}(?!\d)[)）]?){1,5}"
        r"(?![.,]?\d|[万亿年月元])",
        _phone,
    ),
    rule(rf"{UNSIGNED}\d{{2,4}}(?: \d{{2,4}}){{1,5}}(?![A-Za-z0-9-]| \d|[.,]\d)", _named_groups),
    rule(r"(?:(?<=\bGB )|(?<=\bGB/[TZ] ))(\d{3,5})([-–—])((?:19|20)\d\d)(?!\d)", _standard),
    rule(r"((?:\s?(?:\*{3,20}|•{2,20})\s?){1,4})(\d{2,4})(?![A-Za-z0-9])", _masked),
    rule(r"(?<=按)[#*](?![A-Za-z0-9])", lambda match: {"#": "井号键", "*": "星号键"}[match[0]]),
    rule(rf"{UNSIGNED}1[3-9]\d{{9}}(?!\d)", _mobile),
    rule(r"(?<![\w*#])(?:[*#]{1,2}\d{2,5}#?|\d{2,5}#)(?![A-Za-z0-9*#])", _dialled_with_signs),
    rule(r"(?<![A-Za-z0-9.,])([vV]\.?\s?)?(\d+(?:\.\d+){2,})(?!\d|,\d)", _version),
    rule(r"(?<![A-Za-z0-9.,])([vV])(\d+(?:\.\d+)*)(?![A-Za-z0-9])", _version),
    rule(rf"{UNSIGNED}\d{{3,6}}(?![A-Za-z0-9-]|[.,]\d)", _dialled),
    rule(
        rf"{UNSIGNED}(?:110|114|119|120|122|911|112|12306|12345|12315|95\d{3}|100\d{2})(?!\d)",
        _emergency,
    ),
    rule(
        rf"{UNSIGNED}(?:\d{{1,5}}(?:-\d{{1,7}}){{2,}}+[xX]?|\d{{3,19}}(?:-\d+)*[xX]?)"
        r"(?![A-Za-z0-9-]|[.,]\d)",
        _named,
    ),
    rule(r"(?:(?<=号楼)|(?<=单元)|(?<=[栋座]))\d{3,4}(?![A-Za-z0-9]|[.,]\d|[人个户元名])", _mobile),
    rule(rf"([{_PROVINCES}])([A-Z])[·•]?([A-Z0-9]{{5,6}})(?![A-Za-z0-9])", _plate),
    rule(
        r"(?<![A-Za-z0-9.$€£¥￥])(?:(?:985|211)(?=[高大工院名])|(?<![满价共花付])618(?=大促|购物(?![券袋车卡])|活动(?![室价])|[、和]双(?:1|十))|(?<=双11、)618"
        r"|[1-9]{2}(?=折)|996(?=工作(?!日)|加班|制)|520(?=表白|情人))",
        _mobile,
    ),
    rule(
        rf"{_BY_ITSELF}(?:996(?=是(?:违法|非法|不(?!是)|福报|指|一种|什么(?:意思|制度|[？?]|$)))|520(?=那天)"
        r"|(?:10086|10010|12306)(?=发来|订票|查询|提醒|推送))",
        _mobile,
    ),
    rule(
        r"(?<![A-Za-z0-9.])(?:58(?=同城)|51(?=job|社保)|1(?:63|26|39)(?=邮箱)|360(?=安全|杀毒|浏览|搜索))",
        _digits,
    ),
    rule(rf"{UNSIGNED}\d{{3,4}}(?!\d){_PLACE}", _mobile),
    rule(rf"{UNSIGNED}\d{{9,}}(?!\d|[.,]\d|[万亿元个人])(?<!0000)", _mobile),
)

CODES = (
    rule(r"(?<![A-Za-z0-9])([Pp])(\d{1,3})(\s?[-–—~～]\s?)(\d{1,3})(?![A-Za-z0-9]|[.,]\d)", _pages),
    rule(
        r"(?<![A-Za-z0-9])(?!N[oO]\.)[A-Za-z]{1,10}(?:[-.]\d+(?:\.\d+)?[A-Za-z]?|\d+\.\d+)(?![A-Za-z0-9]|\.\d)",
        _code,
    ),
    rule(
        r"(?<![A-Za-z0-9])(?:[A-Za-z]+\d|\d+[A-Za-z])[A-Za-z0-9]*"
        r"(?:-(?=[A-Za-z0-9]*\d)[A-Za-z0-9]+)*(?![A-Za-z0-9]|\.\d)",
        _code,
    ),
)
