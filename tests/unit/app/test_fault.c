#include <criterion/criterion.h>

#include "common/app/service.h"

#ifdef SOUK_FAULTS
Test(fault, known__name_with_or_without_more__is)
{
    cr_assert(fault_known(NULL));
    cr_assert(fault_known(""));
    cr_assert(fault_known("order_before_commit"));
    cr_assert(fault_known("order_before_commit:3"));
    cr_assert(fault_known("consumer_poison:01900000-0000-7000-8000-000000000101"));
}

Test(fault, known__a_slip_of_the_finger__is_not)
{
    cr_assert_not(fault_known("order_before_comit"));
    cr_assert_not(fault_known("order_before"));
    cr_assert_not(fault_known("order_before_commit_or_so"));
    cr_assert_not(fault_known(":3"));
}
#endif
