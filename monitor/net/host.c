#include "host.h"
#include "../err.h"
int host_create(int a, char **b)
{
	(void)a;
	(void)b;
	return ERR_EXIT_SELF;
}
int host_rm(int a, char **b)
{
	(void)a;
	(void)b;
	return ERR_EXIT_SELF;
}
int host_ls(int a, char **b)
{
	(void)a;
	(void)b;
	return ERR_EXIT_SELF;
}
