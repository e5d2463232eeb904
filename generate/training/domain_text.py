"""Templates and words of the domain sentences: everyday talk, news, telephone service, weather, travel, numbers.

A closed vocabulary of some five hundred words, all of them in the CMU dictionary that pocketsphinx carries. A slot
in braces takes one entry of `SLOTS`; an entry may hold several words (`_` joins them).
"""

TEMPLATES: tuple[str, ...] = (
    # everyday
    "{person} bought {count} {things} at the {shop} on {day}.",
    "I think the {adjective} {thing} is under the {furniture}.",
    "Have you seen my {adjective} {thing} anywhere?",
    "Please put the {things} back on the {furniture}.",
    "{person} and {person} are going to the {place} {when}.",
    "We usually have {food} and {food} for {meal}.",
    "Would you like some {food}, or just a cup of {drink}?",
    "My {relative} likes {food}, but my {relative} prefers {food}.",
    "The {animal} slept on the {furniture} all {daypart}.",
    "Can {person} help us move the {furniture} {when}?",
    "{when_first}, the {animal} ran across the {place}.",
    "It took {count} hours to clean the {adjective} {room}.",
    "Don't forget to close the {room} {opening} before you leave.",
    "Her {relative} painted the {room} {colour} and {colour}.",
    # news
    "The {official} said that {subject} would {trend} {when}.",
    "The {official} of {country} met the {official} of {country} on {day}.",
    "Prices of {goods} rose by {count} percent in {month}.",
    "In {month}, the {body} voted against the new {subject} plan.",
    "Police in {city} are looking for a {adjective} {vehicle}.",
    "More than {tens} thousand people marched through {city} on {day}.",
    "According to the {body}, {subject} will {trend} next year.",
    "The {team} team beat {city} by {count} points on {day}.",
    "Scientists in {country} have found a {adjective} way to store {goods}.",
    "Workers at the {city} {place} went on strike on {day}.",
    # telephone service
    "Thank you for calling, how can I help you {when}?",
    "Your order number is {digit} {digit} {digit} {digit}.",
    "Please press {digit} for {service}, or hold the line.",
    "I would like to change my {service} appointment to {day}.",
    "We will send the {document} to your address in {city}.",
    "Could you repeat the last {count} digits of your {document}?",
    "I'm sorry, but the {service} office is closed on {day}.",
    "Is this {person}, and are you calling about the {document}?",
    "One moment please, I will connect you to {service}.",
    "Your {document} was sent on the {ordinal} of {month}.",
    "What is the best time to reach you, {daypart} or {daypart}?",
    # weather
    "It will be {weather} in {city}, with a high of {tens} degrees.",
    "Expect {weather} conditions in the {direction} by {daypart}.",
    "{day} starts {weather}, then turns {weather} in the {direction}.",
    "A {adjective} storm is moving {direction} toward {city}.",
    "Temperatures in {country} will fall below {count} degrees {when}.",
    "Will it be {weather} or {weather} on {day}?",
    "The wind near {city} reached {tens} miles an hour.",
    # travel
    "The {vehicle} to {city} leaves at {count} {minutes}.",
    "How far is the {place} from the {city} station?",
    "Turn {side} at the {place}, then walk {count} blocks {direction}.",
    "Our {vehicle} from {city} was {tens} minutes late.",
    "{person} flew from {city} to {city} with {count} bags.",
    "Is there a {vehicle} from the {place} to {city} {when}?",
    "You can see the {place} from the {side} side of the {vehicle}.",
    "We drove through {country}, {country} and {country} in {month}.",
    # numbers
    "The total is {tens} {count} dollars and {tens} cents.",
    "There are {count} hundred {things} in the {room}.",
    "Flight {digit} {digit} {digit} departs from gate {count}.",
    "The meeting moved from {count} {minutes} to {count} {minutes}.",
    "Room {digit} zero {digit} is on the {ordinal} floor.",
    "My {relative} was born on {month} {ordinal}, in nineteen {tens} {count}.",
)

_WORDS: dict[str, str] = {
    "person": "Martin Susan David Laura Peter Maria Thomas Julia Robert Helen George Nancy Kevin Alice Daniel Emma "
    "Victor Rachel Oliver Sarah",
    "count": "two three four five six seven eight nine ten eleven twelve",
    "digit": "one two three four five six seven eight nine",
    "tens": "twenty thirty forty fifty sixty seventy eighty ninety",
    "minutes": "fifteen thirty forty_five o'clock twenty",
    "ordinal": "first second third fourth fifth sixth seventh eighth ninth tenth",
    "things": "apples books chairs bottles letters boxes tickets candles flowers glasses shirts keys pencils plates",
    "thing": "umbrella jacket notebook camera wallet phone basket mirror lamp blanket hammer watch guitar envelope",
    "adjective": "small large green broken heavy simple strange beautiful cheap quiet bright ancient brown "
    "dangerous powerful new",
    "furniture": "table kitchen_shelf sofa desk bed cupboard bench counter",
    "shop": "bakery market bookstore pharmacy supermarket garage",
    "place": "museum library harbor bridge airport stadium church castle park theater hospital school factory "
    "village square",
    "room": "kitchen bedroom office garden bathroom basement garage hallway",
    "opening": "door window gate curtains",
    "food": "bread cheese soup rice fish chicken salad pasta chocolate fruit eggs potatoes yogurt",
    "drink": "coffee tea juice milk water",
    "meal": "breakfast lunch dinner supper",
    "relative": "mother father sister brother cousin uncle aunt neighbor grandmother daughter",
    "animal": "dog cat horse rabbit fox squirrel goat",
    "colour": "yellow blue white gray purple orange red black",
    "day": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "month": "January February March April May June July August September October November December",
    "daypart": "morning afternoon evening night noon",
    "when": "today tomorrow tonight this_morning next_week on_Friday in_the_evening after_lunch this_weekend",
    "when_first": "Yesterday Suddenly Last_night This_morning At_midnight A_week_ago",
    "official": "president minister mayor governor chairman judge director spokesman",
    "body": "council government senate committee union bank court",
    "subject": "energy education health housing trade transport farming security tax pension",
    "trend": "grow improve shrink recover change continue decline",
    "country": "France Canada Japan Brazil Spain Egypt Norway India Germany Mexico Kenya Poland Sweden Australia",
    "city": "London Boston Paris Chicago Madrid Denver Vienna Seattle Oslo Dublin Toronto Berlin Houston Geneva "
    "Athens Lisbon",
    "goods": "oil wheat copper steel sugar gas cotton electricity timber",
    "team": "football hockey basketball tennis rugby women's",
    "vehicle": "train bus truck ferry taxi van plane boat car",
    "service": "billing support insurance delivery repair sales account",
    "document": "invoice contract receipt passport package card ticket bill",
    "weather": "sunny cloudy windy rainy foggy dry cold warm humid stormy mild snowy",
    "direction": "north south east west northwest southeast",
    "side": "left right",
}

SLOTS: dict[str, tuple[str, ...]] = {
    slot: tuple(entry.replace("_", " ") for entry in words.split()) for slot, words in _WORDS.items()
}
