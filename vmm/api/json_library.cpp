// Boost.JSON itself: Debian's package has no static library, so it is compiled here, once.
#include <boost/json/src.hpp>
