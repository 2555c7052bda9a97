/*
 * Answers questions as `flagver flag eval --batch --definitions FILE` does, through the binding:
 *
 *     batch DEFINITIONS [AT] <lines >answers
 *
 * tests/bindings/compare.py holds the answers against those of the program.
 */
#include <flagver/flagver.hpp>

#include <jansson.h>

#include <cinttypes>
#include <cstdio>
#include <ctime>
#include <iostream>
#include <string>

namespace
{

struct freeing {
    void operator()(json_t *j) const
    {
        json_decref(j);
    }
};
using json = std::unique_ptr<json_t, freeing>;

std::string text_of(const json_t *j)
{
    char *text = json_dumps(j, JSON_ENCODE_ANY | JSON_COMPACT);
    const std::string copy = text ? text : "";
    free(text);
    return copy;
}

flagver::moment parse_time(const char *text)
{
    std::tm tm{};
    int ms = 0;

    if (std::sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
                    &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &ms) < 6)
        throw std::runtime_error(std::string("no time: ") + text);
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    return flagver::moment(std::chrono::seconds(timegm(&tm)) + std::chrono::milliseconds(ms));
}

void set(flagver::context &user, const char *name, const json_t *item)
{
    const char *key;
    json_t *part;
    std::size_t i;

    switch (json_typeof(item)) {
    case JSON_NULL:
        user.set(name, nullptr);
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        user.set(name, json_is_true(item));
        break;
    case JSON_INTEGER:
        user.set(name, json_integer_value(item));
        break;
    case JSON_REAL:
        user.set(name, json_real_value(item));
        break;
    case JSON_STRING:
        user.set(name, std::string_view(json_string_value(item), json_string_length(item)));
        break;
    case JSON_ARRAY:
        user.begin_list(name);
        json_array_foreach(const_cast<json_t *>(item), i, part) set(user, nullptr, part);
        user.end();
        break;
    case JSON_OBJECT:
        user.begin_object(name);
        json_object_foreach(const_cast<json_t *>(item), key, part) set(user, key, part);
        user.end();
        break;
    }
}

/* Attribute by attribute; a key that is none can only be said in JSON. */
flagver::context context_of(const json_t *object)
{
    const json_t *targeting_key = json_object_get(object, "targetingKey");
    flagver::context user;
    const char *name;
    json_t *item;

    if (json_is_string(targeting_key))
        user.key({ json_string_value(targeting_key), json_string_length(targeting_key) });
    else if (json_is_integer(targeting_key))
        user.key(std::to_string(json_integer_value(targeting_key)));
    else if (targeting_key && !json_is_null(targeting_key))
        return flagver::context::from_json(text_of(object));
    json_object_foreach(const_cast<json_t *>(object), name,
                        item) if (std::string_view(name) != "targetingKey") set(user, name, item);
    return user;
}

flagver::type type_of(const json_t *name)
{
    for (int type = FLAGVER_TYPE_BOOL; name && type <= FLAGVER_TYPE_JSON; type++)
        if (std::string_view(json_string_value(name)) == flagver_type_name(type))
            return static_cast<flagver::type>(type);
    return flagver::type::any;
}

void must(bool held, const char *what)
{
    if (!held)
        throw std::runtime_error(what);
}

/* What the typed calls say, on the client, a bound flag and a snapshot, is what evaluate() says. */
void agree(const flagver::client &flags, const std::string &key, const flagver::context &user)
{
    const flagver::detail d = flags.evaluate(key, user);
    const flagver::served served = d.value();
    const flagver::type type = d.type();

    if (d.error() || key.empty() || key.size() > 256)
        return;
    if (const bool *boolean = std::get_if<bool>(&served))
        must(flags.boolean(key, user, !*boolean) == *boolean &&
                 flags.bind(key).boolean(user, !*boolean) == *boolean,
             "another boolean");
    if (const int64_t *integer = std::get_if<int64_t>(&served))
        must(flags.integer(key, user, ~*integer) == *integer &&
                 flags.bind(key).integer(user, ~*integer) == *integer,
             "another integer");
    if (const double *real = std::get_if<double>(&served))
        must(flags.real(key, user, *real + 1) <= *real &&
                 flags.bind(key).real(user, *real + 1) <= *real,
             "another number");
    if (const std::string_view *view = std::get_if<std::string_view>(&served)) {
        const std::string text(*view);
        if (type == flagver::type::string)
            must(flags.string(key, user, "?") == text && flags.bind(key).string(user, "?") == text,
                 "another text");
        else
            must(flags.json(key, user, "?") == text && flags.bind(key).json(user, "?") == text,
                 "other JSON");
    }
}

void answer(const flagver::client &flags, const std::string &line)
{
    const json question(json_loads(line.c_str(), 0, nullptr));
    must(json_is_object(question.get()), "a line that is no question");
    const json_t *flag = json_object_get(question.get(), "flag");
    const json_t *fallback = json_object_get(question.get(), "default");
    const std::string key(json_string_value(flag), json_string_length(flag));
    const flagver::context user = context_of(json_object_get(question.get(), "context"));

    agree(flags, key, user);
    flagver::detail d = flags.evaluate(key, user, type_of(json_object_get(question.get(), "type")));
    const std::string fallback_text = fallback ? text_of(fallback) : "";
    if (d.error() && fallback) {
        d.get()->value.type = FLAGVER_TYPE_JSON;
        d.get()->value.string = fallback_text.data();
        d.get()->value.length = fallback_text.size();
    }
    std::cout << d.json() << '\n';
}

} // namespace

int main(int argc, char **argv)
try {
    flagver::options options;
    std::string line;

    must(argc >= 2, "usage: batch DEFINITIONS [AT]");
    if (argc > 2)
        options.clock = [at = parse_time(argv[2])] { return at; };
    const flagver::client flags(std::string("file:") + argv[1], options);
    while (std::getline(std::cin, line))
        answer(flags, line);
    return 0;
} catch (const std::exception &e) {
    std::fprintf(stderr, "batch: %s\n", e.what());
    return 1;
}
