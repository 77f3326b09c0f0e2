"""Function words by language: what every text of a language has, whatever it is about.

Articles, pronouns, prepositions, conjunctions, auxiliaries and what an apostrophe leaves of them, in
lower case. They tell the language of a text, and are left out where it is searched by words. A
language stands here only if Snowball has a stemmer of that name. Data alone.
"""

from collections.abc import Mapping
from typing import Final

_TEXTS: Final[Mapping[str, str]] = {
    "english": """a about above after again against all am an and any are as at be because been before
        being below between both but by can could d did do does doing don down during each few for
        from further had has have having he her here hers herself him himself his how i if in into is
        isn it its itself just ll m me more most my myself no nor not now of off on once only or other
        our ours ourselves out over own re s same she should so some such t than that the their theirs
        them themselves then there these they this those through to too under until up ve very was we
        were what when where which while who whom why will with would you your yours yourself
        yourselves""",
    "german": """aber alle als also am an auch auf aus bei bin bis bist da damit dann das dass dein
        deine dem den denn der des dich die dies diese dieser dieses dir doch dort du durch ein eine
        einem einen einer eines er es euch euer für hab habe haben hat hatte hatten hier hinter ich
        ihm ihn ihnen ihr ihre ihrem ihren ihrer im in ist ja kann kein keine können man mein meine
        mich mir mit muss nach nicht noch nun nur ob oder ohne sehr sein seine seinem seinen seiner
        sich sie sind so über um und uns unser unter vom von vor war waren warum was weil welche
        welcher wenn wer werden wie wieder will wir wird wo wurde zu zum zur zwischen""",
    "french": """à au aux avec c ce ces cet cette d dans de des du elle elles en est et étaient était
        être eu il ils j je l la le les leur leurs lui m ma mais me même mes moi mon n ne nos notre
        nous on ont ou où par pas pour qu quand que quel quelle quelles quels qui s sa sans se ses son
        sont sur t ta te tes toi ton tu un une vos votre vous y""",
    "spanish": """a al algo ante como con cual cuando cuándo de del desde donde dónde e el él ella
        ellas ellos en entre era eran es esa ese eso esta está están este esto fue ha han hasta hay la
        las le les lo los más me mi mis muy no nos nosotros o os para pero por porque qué que quién
        quien se ser si sí sin sobre son su sus también te tiene tu tus un una uno unos y ya yo""",
    "italian": """a ad agli ai al alla alle allo anche c che chi ci come con cosa da dagli dai dal
        dalla dalle d de degli dei del della delle dello di dove e è ed era erano gli ha hanno ho i il
        in io l la le lei li lo loro lui ma me mi mia mie mio ne nei nel nella nelle no noi non nostra
        nostro o per perché più quale quando quella quello questa questo s se sei si sono sta su sua
        sue sui sul sulla suo te ti tra tu tuo un una uno vi voi""",
    "portuguese": """a à ao aos as às até com como da das de dela dele deles do dos e é ela elas ele
        eles em entre era eram essa esse esta está este eu foi for há isso isto já lhe mais mas me
        meu minha muito na não nas nem no nos nós num numa o onde os ou para pela pelo por porque
        quando que quem se sem ser seu são só sua também te tem tu um uma você vocês""",
    "dutch": """aan al alles als altijd bij daar dan dat de der deze die dit doch doen door dus een en
        er ge had heb hebben heeft het hier hij hoe hun iemand iets ik in is ja je kan kon maar me
        meer men met mij mijn moet na naar niet niets nog nu of om omdat ons onze ook op over te tegen
        toch toen tot u uit uw van veel voor waar waren was wat we wel werd wie wij wil worden zal ze
        zich zij zijn zo zonder zou""",
    "swedish": """alla allt än är åt att av blev bli blir de dem den denna deras dess det detta dig din
        dina där du efter ej eller en er ett från för ha hade han hans har henne hennes hon honom hur
        här i icke ingen inom inte jag ju kan kunde man med mellan men mig min mina mitt mot mycket
        ni nu när någon något några och om oss på samma sedan sig sin sina ska skulle som så till
        under upp ut utan vad var vara varför vem vi vid vilka vilken vår våra över""",
    "danish": """af alle alt anden at blev blive bliver da de dem den denne der deres det dette dig din
        disse dog du efter eller en end er et for fra ham han hans har havde hende hendes her hos hun
        hvad hvem hvis hvor hvordan hvorfor i ikke ind jeg jer jo kan kunne man med meget men mig min
        mine mit mod ned noget nogle nu når og også om op os over på selv sig sin sine skal skulle som
        sådan til ud under var vi vil ville være været""",
    "norwegian": """alle at av ble bli blir da de deg dem den denne der deres det dette di din disse du
        eller en enn er et etter for fordi fra før ha hadde han hans har henne her hun hva hvem hver
        hvis hvor hvordan hvorfor i ikke inn jeg kan kunne man med meg mellom men min mitt mot mye når
        noe noen nå og også om opp oss over på seg sin skal skulle slik som så til ut uten var ved vi
        vil ville være vært""",
    "russian": """а без более был была были было быть в вам вас весь во вот все всё всех вы где да даже
        для до его ее её если есть еще ещё же за и из или им их к как какая какой когда которая который
        ко кто ли мне можно мой моя мы на над нам нас не него нее неё нет ни них но ну о об он она они
        оно от очень по под после почему при про с сам свой себя со так также такой там тебя то того
        тоже только тот ты у уже чего чем что чтобы эта эти это этот я""",
}

STOP_WORDS: Final[Mapping[str, frozenset[str]]] = {
    language: frozenset(text.split()) for language, text in _TEXTS.items()
}
"""By the language's English name."""
