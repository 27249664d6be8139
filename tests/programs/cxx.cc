/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cxx.cc: what C++ asks of a C library and of the loader: exceptions that unwind through
 * frames with destructors, RTTI, static constructors, iostreams, containers. Counts the
 * words of its standard input; `cxx throw` dies of an exception that nobody catches.
 */
#include <algorithm>
#include <iomanip>
#include <iostream>
#include <map>
#include <memory>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

static int alive;

struct counted {
	counted()
	{
		alive++;
	}
	counted(const counted &)
	{
		alive++;
	}
	~counted()
	{
		alive--;
	}
};

struct shape {
	virtual ~shape() = default;
	virtual double area() const = 0;
};

struct square : shape {
	explicit square(double side) : side(side)
	{
	}
	double area() const override
	{
		return side * side;
	}
	double side;
};

struct circle : shape {
	double area() const override
	{
		return 3.25;
	}
};

/* Ran before main, in the order written. */
static const std::string made_before_main = std::string(40, '=') + "\n";
static const std::map<int, std::string> digits = {{1, "one"}, {2, "two"}, {3, "three"}};

[[noreturn]] static void fail_at(int depth)
{
	counted here;
	if (depth == 0)
		throw std::runtime_error("thrown at the bottom");
	fail_at(depth - 1);
}

static int exceptions()
{
	int caught = 0;

	for (int i = 0; i < 1000; i++) {
		try {
			std::vector<counted> held(10);
			fail_at(i % 50);
		} catch (const std::exception &e) {
			caught += std::string(e.what()) == "thrown at the bottom";
		}
	}
	try {
		try {
			(void)std::vector<int>(3).at(7);
		} catch (const std::out_of_range &) {
			std::throw_with_nested(std::logic_error("outer"));
		}
	} catch (const std::logic_error &e) {
		try {
			std::rethrow_if_nested(e);
		} catch (const std::out_of_range &) {
			caught++;
		}
	}
	return caught;
}

int main(int argc, char **argv)
{
	if (argc > 1 && std::string(argv[1]) == "throw")
		throw std::runtime_error("nobody catches this");

	std::cout << made_before_main << digits.at(2) << '\n';
	std::cout << "caught " << exceptions() << ", alive " << alive << '\n';

	std::vector<std::unique_ptr<shape>> shapes;
	shapes.push_back(std::make_unique<square>(1.5));
	shapes.push_back(std::make_unique<circle>());
	for (const auto &s : shapes)
		std::cout << std::fixed << std::setprecision(3) << s->area() << ' '
			  << (dynamic_cast<square *>(s.get()) ? "square" : "no square") << '\n';

	std::map<std::string, int> words;
	std::string line;
	while (std::getline(std::cin, line)) {
		std::istringstream in(line);
		for (std::string word; in >> word;)
			words[word]++;
	}
	for (const auto &[word, count] : words)
		std::cout << std::setw(12) << word << std::setw(6) << count << '\n';

	std::vector<unsigned> numbers(200000);
	unsigned x = 1;
	std::generate(numbers.begin(), numbers.end(),
		      [&x] { return x = x * 1664525u + 1013904223u; });
	std::sort(numbers.begin(), numbers.end());
	std::cout << std::hex << std::accumulate(numbers.begin(), numbers.end(), 0ull) << ' '
		  << numbers[100000] << '\n';
	std::cerr << "to stderr\n";
	std::cout << "SUCCESS" << std::endl;
	return 0;
}
