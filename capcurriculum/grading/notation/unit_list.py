r"""The closed list of units with their spellings, and of what is counted in word problems."""

from capcurriculum.grading.notation.vocabulary import words

#: One name, then its other spellings. Those that hold a space are tried before their words.
_SYNONYMS = """
m meter meters metre metres 米
cm centimeter centimeters centimetre centimetres cms 厘米
mm millimeter millimeters millimetre millimetres 毫米
km kilometer kilometers kilometre kilometres kms 千米 公里
dm decimeter decimeters decimetre decimetres 分米
nm nanometer nanometers nanometre nanometres
μm um micrometer micrometers micron microns
in inch inches in.
ft foot feet
yd yard yards yds
mi mile miles
ly lightyear lightyears
au astronomicalunit
g gram grams gramme grammes 克
kg kilogram kilograms kilo kilos kgs 千克 公斤
mg milligram milligrams 毫克
μg microgram micrograms mcg
lb pound-mass pounds lbs pound
oz ounce ounces
ton tons tonne tonnes 吨
l liter liters litre litres L 升
ml mL milliliter milliliters millilitre millilitres cc 毫升
dl dL deciliter deciliters
gal gallon gallons gals
qt quart quarts
pt pint pints
cup cups
tsp teaspoon teaspoons
tbsp tablespoon tablespoons
s sec second seconds secs 秒
ms millisecond milliseconds
μs microsecond microseconds
min minute minutes mins 分钟
h hr hour hours hrs 小时
day days 天
week weeks wk wks 周
month months 月
year years yr yrs yo 年
decade decades
century centuries
° degree degrees deg 度
°C celsius degC
°F fahrenheit degF
K kelvin kelvins
rad radian radians
sr steradian steradians
N newton newtons
kN kilonewton kilonewtons
J joule joules
kJ kilojoule kilojoules
MJ megajoule megajoules
W watt watts
kW kilowatt kilowatts
MW megawatt megawatts
mW milliwatt milliwatts
kWh kilowatt-hour kilowatt-hours
V volt volts
kV kilovolt kilovolts
mV millivolt millivolts
A amp amps ampere amperes
mA milliamp milliamps milliampere milliamperes
C coulomb coulombs
F farad farads
H henry henries
Ω ohm ohms \\Omega
kΩ kiloohm kiloohms kilohm kilohms
T tesla teslas
Hz hertz
kHz kilohertz
MHz megahertz
GHz gigahertz
Pa pascal pascals
kPa kilopascal kilopascals
MPa megapascal megapascals
atm atmosphere atmospheres
bar bars
mmHg
eV electronvolt electronvolts
keV
MeV
GeV
cal calorie calories
kcal kilocalorie kilocalories
mol mole moles
mmol millimole millimoles
M molar
mph
kph
rpm
knot knots
acre acres
ha hectare hectares
B byte bytes
kB kilobyte kilobytes KB
MB megabyte megabytes
GB gigabyte gigabytes
bit bits
dB decibel decibels
pixel pixels px
% percent pct percentage
$ dollar dollars USD usd bucks \\dollar
cent cents ¢
€ euro euros EUR eur
£ GBP gbp sterling
¥ yen JPY yuan CNY RMB rmb 元
₹ rupee rupees INR Rs
ruble rubles rouble roubles
peso pesos
franc francs
penny pennies pence
nickel nickels
dime dimes
quarter quarters
coin coins
unit units 单位
person people persons 人
way ways arrangement arrangements possibility possibilities 种
time times 次
个
"""
#: What is counted in word problems; each is its own unit, with the plural that `singular` knows.
COUNTED = words(
    """
    acorn adult angle animal answer ant apartment apple attempt bag ball balloon banana barrel basket bead bean bear
    bed bee berry bicycle bike bill bird block board boat bolt book bottle bowl box boy bracelet branch bread brick
    bucket bug building bulb bundle burger bus bush butterfly button cake can candle candy car card carrot carton
    case cat cell chair chapter cherry chicken child chip chocolate choice circle class club coat code column
    combination cookie corner counter couple course cow cracker crate crayon cube cupcake customer cycle desk
    diagonal digit disk divisor dog doll donut door dot dress duck ear edge egg element elephant employee episode
    eraser event exam eye face factor family farmer finger fish flag floor flower fork friend frog fruit gallon-jug
    game garden gift girl glass glove goal goat goose grade grape group guest gumball hat head hen hexagon hit home
    horse hour-shift house integer jacket jar jellybean job jump kid kite kitten knife lamp lap leaf leg lemon
    lesson letter light line lion loaf loan log lollipop loss magazine man mango map marble mark marker match meal
    melon member method monkey mouse move movie muffin mug multiple nail necklace newspaper notebook number nut
    onion option orange order outcome pack package packet page painting pair pancake paper paragraph parent part
    passenger password path patient payment peach peanut pear pen pencil pentagon permutation pet photo photograph
    picture pie piece pig pile pizza plane plank plant plate player plum point polygon popsicle portion poster
    potato pound present pretzel prime problem pumpkin puppy puzzle question quiz rabbit rectangle region revolution
    ribbon ring robot rock roll room root rope rose rotation round route row run runner sailor sandwich scarf school
    score screw seat section seed segment sentence sequence serving set share shark sheep sheet shift ship shirt
    shoe shop shot show side slice snack sock soldier solution song spider spoon square stack stamp step stick
    sticker stone store story strawberry street string student subset sweet table tank task teacher team term test
    throw ticket tiger tile tire toe token tomato ton tooth toss toy train tree triangle trip triple truck tulip
    turn value van vegetable vertex video visitor vote voter watermelon whale wheel win window wing woman word
    worker worksheet
    """
)
_IRREGULAR = {
    "children": "child", "men": "man", "women": "woman", "mice": "mouse", "geese": "goose", "teeth": "tooth",
    "leaves": "leaf", "loaves": "loaf", "knives": "knife", "vertices": "vertex", "feet": "foot", "halves": "half",
}  # fmt: skip
LISTED: dict[str, str] = {}
for _line in _SYNONYMS.strip().splitlines():
    LISTED |= dict.fromkeys(_line.split(), _line.split()[0])
FOLDED = {spelling.casefold(): name for spelling, name in LISTED.items() if len(spelling) > 2}


def singular(word: str) -> str:
    """A counted thing in the singular; other words as they are."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    for ending, instead in (
        ("ies", "y"),
        ("ches", "ch"),
        ("shes", "sh"),
        ("xes", "x"),
        ("sses", "ss"),
        ("oes", "o"),
        ("s", ""),
    ):
        if word.endswith(ending) and word.removesuffix(ending) + instead in COUNTED:
            return word.removesuffix(ending) + instead
    return word
