/* What makes a new password one that nobody guesses first. Length counts in characters, after NFKC;
 * no rule asks for capitals or digits. Refused are the few kinds that guessing begins with, each as
 * a rule rather than a list of all its members:
 *
 *   - walks: the whole password falls into pieces of three or more that lie side by side on a
 *     keyboard, in the alphabet or among the digits, or repeat one character (qwerty123, 1qaz2wsx);
 *   - a common word, once or twice, as it is or with digits for letters, between digits and signs
 *     (Dragon2024!, p@ssw0rd1);
 *   - the account's own address, or its name part so decorated;
 *   - what the operator's own list has (PASSWORD_LIST_FILE), which password_list.c keeps. */

#include <ctype.h>

#include "auth/auth.h"
#include "common/base/unicode.h"

#define PASSWORD_CHARACTERS_MIN 8
#define PASSWORD_CHARACTERS_MAX 128
#define WALK_MIN                3
#define WALK_LONG               6
#define DECORATION_MAX          6 /* characters around a common word */

/* Read forwards and backwards. */
static const char *const walks[] = {"0123456789012345678901234567890",
    "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz", "1234567890-=", "!@#$%^&*()_+",
    "qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./", "qwertzuiop", "azertyuiop", "qsdfghjklm", "wxcvbn",
    "yxcvbnm", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/", "qazwsxedcrfvtgbyhnujmikolp",
    "1q2w3e4r5t6y7u8i9o0p", "q1w2e3r4t5y6u7i8o9p0", "a1b2c3d4e5f6g7h8i9j0", "1a2b3c4d5e6f7g8h9i0j",
    "147258369", "159753", "741852963", "aqwzsxedc"};

/* Letters only, lower case. One string, each word between blanks. */
static const char words[] =
    " password passwort passwd passphrase motdepasse contrasena parola haslo senha wachtwoord"
    " secret private access login logon signin welcome willkommen letmein letmeinnow open "
    "opensesame"
    " changeme changethis default admin administrator root toor superuser sysadmin user guest"
    " test testing tester demo example sample temp temporary master system manager service server"
    " computer internet network website email mail google facebook twitter youtube amazon microsoft"
    " windows linux ubuntu debian android iphone samsung nokia apple yahoo hotmail myspace linkedin"
    " oracle cisco adobe postgres mysql redis rabbit souk shop shopping store market money bank "
    "visa"
    " mastercard paypal bitcoin crypto iloveyou iloveu ilovegod loveyou lovely lover love loveme"
    " sweetheart sweetie honey baby babygirl babyboy angel angels darling princess prince queen "
    "king"
    " beautiful pretty cutie forever always together family mother father mommy daddy sister "
    "brother"
    " friend friends bestfriend trustno trustnoone nothing whatever unknown nobody anything "
    "something"
    " hello hellothere hallo bonjour hola goodbye peace freedom liberty victory winner champion "
    "legend"
    " dragon monkey tiger lion eagle falcon hawk phoenix wolf bear panther cougar jaguar dolphin"
    " shark turtle butterfly rabbit bunny kitty kitten puppy doggie horse pony chicken penguin "
    "panda"
    " spider scorpion cobra python viper football soccer baseball basketball hockey tennis golf "
    "golfer"
    " cricket rugby boxing swimming running fishing hunting skiing surfing racing liverpool arsenal"
    " chelsea manchester united barcelona realmadrid juventus milan ajax bayern dortmund celtic "
    "rangers"
    " everton tottenham yankees redsox cowboys steelers packers lakers bulls raiders eagles broncos"
    " dolphins patriots giants mustang corvette porsche ferrari mercedes bmw audi toyota honda "
    "yamaha"
    " suzuki kawasaki harley camaro chevy chevrolet subaru nissan starwars startrek superman batman"
    " spiderman ironman wolverine deadpool pokemon pikachu naruto sasuke mario zelda minecraft "
    "fortnite"
    " roblox matrix gandalf frodo hobbit merlin harrypotter hogwarts dumbledore voldemort skywalker"
    " darthvader yoda hunter killer ninja samurai warrior knight soldier wizard magic shadow ghost"
    " demon devil satan lucifer vampire zombie skeleton rockstar metallica nirvana slipknot blink"
    " greenday linkinpark eminem beatles elvis madonna rihanna guitar drummer music dancer dancing"
    " sunshine moonlight starlight rainbow summer winter spring autumn sommer herbst january "
    "february"
    " march april may june july august september october november december monday tuesday wednesday"
    " thursday friday saturday sunday weekend holiday birthday christmas halloween easter snow "
    "snowball"
    " snowman thunder lightning storm hurricane tornado fire water earth ocean island beach river"
    " mountain forest flower flowers rose daisy jasmine lily orchid tulip sunflower cherry banana"
    " orange peach apple apples strawberry blueberry pumpkin chocolate cookie cookies cupcake "
    "cheese"
    " coffee pepper ginger sugar candy vanilla pizza chicken bacon butter silver golden diamond "
    "crystal"
    " ruby sapphire emerald purple yellow green black blackie white blue red pink london paris "
    "berlin"
    " newyork boston dallas texas chicago florida hawaii california america england scotland "
    "ireland"
    " france germany spain italy brazil mexico canada australia india china japan russia alexander"
    " alexandra alexis amanda andrea andrew angela anthony ashley austin benjamin brandon brandy "
    "brian"
    " brittany carlos carmen caroline charles charlie charlotte chris christian christine "
    "christopher"
    " claudia cynthia daniel daniela danielle david dennis diana dominic donald edward elizabeth "
    "emily"
    " eric ethan fernando francisco gabriel george gloria hannah harold heather isabella jack "
    "jackson"
    " jacob james jasmin jason jeffrey jennifer jeremy jessica joanna john johnny jonathan jordan"
    " joseph joshua julia justin karen katherine kathleen kelly kenneth kevin kimberly laura lauren"
    " leonardo linda lucas madison manuel margaret maria mariana marie marina mark martin martina"
    " matthew maxwell melanie melissa michael michelle miguel mohammed monica morgan natalie "
    "natasha"
    " nathan nicholas nicole oliver olivia pamela patricia patrick paul peter philip rachel raymond"
    " rebecca ricardo richard robert roberto ronaldo samantha samuel sandra sarah scott sebastian"
    " sharon sophia sophie stephanie stephen steven susan tamara taylor teresa thomas tiffany "
    "timothy"
    " valentina valeria vanessa veronica victor victoria vincent virginia walter wendy william "
    "xavier"
    " zachary qwerty qwertz azerty asdf zxcv abc abcd abcde xyz aaa secure security hacker hacking"
    " cheater player gamer playboy sexy sexyboy sexygirl hottie pussycat biteme fuckyou fuckoff "
    "asshole"
    " bullshit maverick scooter buster bandit bailey buddy lucky smokey rocky rocket snoopy tigger"
    " winnie garfield mickey minnie donald goofy simpson homer bart casper felix sparky spanky "
    "ranger"
    " marine army navy pilot captain sailor doctor nurse teacher student school college university"
    " cooper parker tucker hunter gunner slayer pirate trooper viking blaster phantom destiny "
    "heaven"
    " hello jesus christ jesuschrist godisgood blessed blessing church bible genesis mercury venus"
    " jupiter saturn neptune apollo galaxy universe planet space infinity alpha omega delta sigma ";

static size_t characters(const char *utf8)
{
    size_t n = 0;
    for (; *utf8; utf8++)
        n += ((unsigned char)*utf8 & 0xc0) != 0x80;
    return n;
}

const char *password_normal(struct arena *a, const char *password)
{
    return unicode_nfkc(a, password);
}

/* ---- walks ---- */

static size_t repeat_length(const char *text)
{
    size_t n = 1;
    while (text[n] && text[n] == text[0])
        n++;
    return n;
}

/* How much of `text` follows `walk` from its place `at`, in steps of `step`. */
static size_t walk_length_from(const char *text, const char *walk, size_t len, size_t at, int step)
{
    size_t n = 0;
    while (text[n] && at < len && text[n] == walk[at]) {
        n++;
        at += (size_t)step; /* past the start it wraps to more than len */
    }
    return n;
}

static size_t walk_length(const char *text)
{
    size_t best = repeat_length(text);
    for (size_t w = 0; w < ARRAY_SIZE(walks); w++) {
        size_t len = strlen(walks[w]);
        for (size_t at = 0; at < len; at++)
            for (int step = -1; step <= 1; step += 2) {
                size_t n = walk_length_from(text, walks[w], len, at, step);
                best = n > best ? n : best;
            }
    }
    return best;
}

/* After a long walk two more characters hide nothing. */
static bool is_walks(const char *text)
{
    bool is_long = false;
    while (*text) {
        size_t n = walk_length(text);
        if (n < WALK_MIN)
            return is_long && strlen(text) < WALK_MIN;
        is_long = is_long || n >= WALK_LONG;
        text += n;
    }
    return true;
}

/* ---- words ---- */

static char without_leet(char c)
{
    static const char from[] = "0134578@$!|+", to[] = "oleastbasiit";
    const char *at = strchr(from, c);
    return c && at ? to[at - from] : c;
}

/* `core` is one common word, or the same one twice. */
static bool is_word(const char *core, size_t len)
{
    char text[64];
    if (len < 3 || len > 40)
        return false;
    if (len % 2 == 0 && memcmp(core, core + len / 2, len / 2) == 0 && is_word(core, len / 2))
        return true;
    text[0] = ' ';
    for (size_t i = 0; i < len; i++) {
        text[i + 1] = without_leet(core[i]);
        if (text[i + 1] < 'a' || text[i + 1] > 'z')
            return false;
    }
    text[len + 1] = ' ';
    text[len + 2] = 0;
    return strstr(words, text) != NULL;
}

bool password_decorated(
    const char *text, bool (*fits)(const char *core, size_t len, const char *ctx), const char *ctx)
{
    size_t len = strlen(text);
    for (size_t front = 0; front <= DECORATION_MAX && front < len; front++) {
        for (size_t back = 0; front + back <= DECORATION_MAX && front + back < len; back++) {
            if (fits(text + front, len - front - back, ctx))
                return true;
            if (isalpha((unsigned char)text[len - back - 1]))
                break;
        }
        if (isalpha((unsigned char)text[front]))
            break;
    }
    return false;
}

static bool fits_word(const char *core, size_t len, const char *ctx)
{
    return is_word(core, len);
}

static bool fits_text(const char *core, size_t len, const char *ctx)
{
    return strlen(ctx) == len && memcmp(core, ctx, len) == 0;
}

static bool is_own(const char *lower, const char *email)
{
    char name[256];
    const char *at = email ? strchr(email, '@') : NULL;
    if (!at || at - email >= (ptrdiff_t)sizeof(name))
        return false;
    memcpy(name, email, (size_t)(at - email));
    name[at - email] = 0;
    return strcmp(lower, email) == 0 ||
           (at - email >= 4 && password_decorated(lower, fits_text, name));
}

const char *password_problem(const char *password, const char *email)
{
    size_t n = characters(password), len = strlen(password);
    char lower[PASSWORD_BYTES_LIMIT + 1];
    if (n < PASSWORD_CHARACTERS_MIN || n > PASSWORD_CHARACTERS_MAX || len >= sizeof(lower))
        return "must be 8 to 128 characters long";
    for (size_t i = 0; i <= len; i++)
        lower[i] = password[i] >= 'A' && password[i] <= 'Z' ? (char)(password[i] - 'A' + 'a')
                                                            : password[i];
    if (is_walks(lower) || password_decorated(lower, fits_word, NULL))
        return "is one of the first that anybody would try";
    return is_own(lower, email) ? "must not be the e-mail address" : NULL;
}
