/*
 * One evaluation through the binding beside the same through C: the median of many short rounds that take
 * turns, so that both meet the same machine. Both hold what they ask by in variables, and get at those the same way.
 */
#include <flagver/flagver.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace
{

constexpr int rounds = 301, calls = 20000;

volatile int64_t sink; // keeps what was asked

template <class Ask> double once(Ask &ask)
{
    const auto began = std::chrono::steady_clock::now();
    int64_t sum = 0;
    for (int i = 0; i < calls; i++)
        sum += ask();
    sink = sum;
    return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - began)
               .count() /
           calls;
}

double median(std::vector<double> &times)
{
    std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
    return times[times.size() / 2];
}

template <class C, class Cpp> void compare(const char *what, C c, Cpp cpp)
{
    std::vector<double> in_c, in_cpp;
    once(c);
    once(cpp);
    for (int i = 0; i < rounds; i++) {
        in_c.push_back(once(c));
        in_cpp.push_back(once(cpp));
    }
    const double ns_c = median(in_c), ns_cpp = median(in_cpp);
    std::printf("%-34s %6.1f ns in C, %6.1f ns in C++: %.2f\n", what, ns_c, ns_cpp, ns_cpp / ns_c);
}

} // namespace

int main()
{
    flagver::client flags("definitions:");
    flags.load(R"({"flags": {
        "on": {"type": "boolean", "percentage": 100},
        "half": {"type": "boolean", "percentage": 50},
        "text": {"type": "string", "variants": {"a": "classic", "b": "one-page"}, "default": "a",
                 "rules": [{"if": {"attr": "country", "op": "eq", "value": "DE"}, "serve": "b"}]}}})");
    flagver::context user("bob");
    user.set("country", "DE");
    flagver_client *c = flags.get();
    flagver_context *u = user.get();
    const flagver::bound on = flags.bind("on"), half = flags.bind("half"),
                         text = flags.bind("text");
    const flagver_bound *c_on = on.get(), *c_half = half.get(), *c_text = text.get();

    compare(
        "on or off", [&] { return flagver_flag_bool(c, "on", u, false); },
        [&] { return flags.boolean("on", user, false); });
    compare(
        "the same through a bound flag", [&] { return flagver_bound_bool(c_on, u, false); },
        [&] { return on.boolean(user, false); });
    compare(
        "50 %, bound", [&] { return flagver_bound_bool(c_half, u, false); },
        [&] { return half.boolean(user, false); });
    compare(
        "a rule and a text, bound", [&] { return *flagver_bound_string(c_text, u, ""); },
        [&] { return *text.c_string(user, ""); });
    compare(
        "with details",
        [&] {
            flagver_detail d;
            d.size = sizeof d;
            flagver_flag_evaluate(c, "text", 4, u, FLAGVER_TYPE_STRING, &d);
            return int64_t{ d.reason };
        },
        [&] { return int64_t{ flags.evaluate("text", user, flagver::type::string).reason() }; });
    compare(
        "an attribute set, a percentage asked",
        [&] {
            flagver_context_reset(u, "bob");
            flagver_context_set_string(u, "country", "DE");
            return flagver_flag_bool(c, "half", u, false);
        },
        [&] { return flags.boolean("half", user.reset("bob").set("country", "DE"), false); });
    return 0;
}
